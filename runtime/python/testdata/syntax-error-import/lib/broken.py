if True:
print()
