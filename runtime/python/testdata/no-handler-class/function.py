class handler:
    def __init__(self, req):
        pass
