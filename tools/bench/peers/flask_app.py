"""Flask, run by gunicorn: `gunicorn flask_app:app`."""

from flask import Flask, jsonify, request
from model import Model

app = Flask(__name__)
model = Model()


@app.post("/infer")
def infer():
    return jsonify(model.infer(request.get_json(force=True)))
