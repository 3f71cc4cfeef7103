from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello():
    return "Hello, World!"


def warmup():
    client = app.test_client()
    for _ in range(20):
        client.get("/")
