# The engine's read-only files (tree.py), as data of the module.

	.section .rodata.tree,"",@
	.globl tree
	.type tree,@object
	.p2align 4
tree:
	.incbin "tree.bin"
	.size tree, .-tree
