"""Of steady_load.py: what is counted, with a server that stalls and one that breaks off."""

import asyncio
import unittest

from steady_load import Outcome, SteadyLoad, between, failed, http_request, quantile


class SteadyLoadTest(unittest.TestCase):
    def asked(self, answer):
        """The outcomes of half a second of load on a server that does `answer(writer, number)`."""
        async def run():
            count = 0

            async def serve(reader, writer):
                nonlocal count
                while await reader.readline():
                    await reader.readuntil(b"\r\n\r\n")
                    count += 1
                    await answer(writer, count)
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            async with SteadyLoad(port, http_request("/", b"", {}), 100) as load:
                await asyncio.sleep(0.5)
            server.close()
            return load.outcomes
        return asyncio.run(run())

    def test_every_answer_is_counted(self):
        async def answer(writer, _):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        outcomes = self.asked(answer)
        self.assertGreater(len(outcomes), 20)
        self.assertEqual(failed(outcomes), [])

    def test_what_breaks_off_and_what_is_refused_has_failed(self):
        async def answer(writer, number):
            if number % 2:
                writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\n")
                writer.close()
        outcomes = self.asked(answer)
        self.assertEqual(len(failed(outcomes)), len(outcomes))
        self.assertEqual({each.status for each in outcomes}, {0, 503})

    def test_pure_figures(self):
        outcomes = [Outcome(float(n), n / 100, 200) for n in range(100)]
        self.assertEqual(quantile(outcomes, 0.99), 0.99)
        self.assertEqual(len(between(outcomes, 10, 20)), 10)


if __name__ == "__main__":
    unittest.main()
