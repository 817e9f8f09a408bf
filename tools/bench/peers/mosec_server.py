"""mosec: one process a core; it reads --port and --address from the command line itself."""

import os
from typing import Any

from model import Model
from mosec import Server, Worker


class Infer(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    def forward(self, data: dict[str, Any]) -> dict[str, Any]:
        return self.model.infer(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Infer, num=os.cpu_count())
    server.run()
