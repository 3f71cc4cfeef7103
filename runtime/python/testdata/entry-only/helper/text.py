TEXT = 'only'
