TEXT = 'package.app.main'
