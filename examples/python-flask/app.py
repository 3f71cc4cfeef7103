# A page from a template, by a Flask application: curl "$ENDPOINT/?name=Alice"
import importlib.metadata

from flask import Flask, jsonify, render_template, request

app = Flask(__name__)


@app.get("/")
def index():
    return render_template("index.html", name=request.args.get("name", "World"))


@app.get("/versions")
def versions():
    return jsonify({name: importlib.metadata.version(name) for name in ("flask", "jinja2", "werkzeug")})


def warmup():  # runs at deploy: what Flask and Jinja2 prepare for their first request is ready for every one
    app.test_client().get("/")
