from . import text


class application:
    @staticmethod
    def respond(req):
        return text.TEXT
