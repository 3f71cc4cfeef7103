package wasi

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A node is a file, a directory or a symbolic link. Those of a Program's files are shared and never change.
type node struct {
	inode                       uint64
	kind                        filetype
	readOnly                    bool
	links                       uint64 // names; 0: it was removed
	open                        int    // descriptors
	accessed, modified, changed uint64 // Unix nanoseconds

	content []byte           // of a file; a symbolic link's target
	entries map[string]*node // of a directory
	order   []entry          // of a directory, by their cookies
	parent  *node            // of a directory; the root's is itself
}

// An entry of a directory. Its cookie never changes, so that a walk goes on where it was while entries come and go.
type entry struct {
	cookie uint64
	name   string
	node   *node
}

// firstCookie is that of the first entry behind "." and "..".
const firstCookie = 2

// add gives a directory an entry.
func (d *node) add(name string, n *node) {
	cookie := uint64(firstCookie)
	if len(d.order) > 0 {
		cookie = d.order[len(d.order)-1].cookie + 1
	}
	if d.entries == nil {
		d.entries = map[string]*node{}
	}
	d.entries[name] = n
	d.order = append(d.order, entry{cookie, name, n})
	n.links++
	if n.kind == directory {
		n.parent = d
	}
}

// drop takes an entry from a directory.
func (d *node) drop(name string) {
	n := d.entries[name]
	delete(d.entries, name)
	d.order = slices.DeleteFunc(d.order, func(e entry) bool { return e.name == name })
	n.links--
}

// from are the entries from a cookie on.
func (d *node) from(cookie uint64) []entry {
	i, _ := slices.BinarySearchFunc(d.order, cookie, func(e entry, cookie uint64) int { return cmp.Compare(e.cookie, cookie) })
	return d.order[i:]
}

func (n *node) touch() {
	n.modified = uint64(time.Now().UnixNano())
	n.changed = n.modified
}

// size is what stat says.
func (n *node) size() uint64 { return uint64(len(n.content)) }

// A File is one of a program's. Its path is relative and clean.
type File struct {
	Path    string
	Content []byte
}

// rootInode is the root's; those of /tmp begin at tmpInode.
const (
	rootInode = 1
	tmpInode  = 1 << 32
)

const tmpName = "tmp"

// tree makes the root of a program's files. Its tmp is only a name, for what is there is the run's. Where the program has
// nothing of the name app, it is another name of the root, so that programs that expect their files in /app find them.
func tree(files []File) *node {
	now := uint64(time.Now().UnixNano())
	next := uint64(rootInode)
	make := func(kind filetype, content []byte) *node {
		n := &node{inode: next, kind: kind, readOnly: true, accessed: now, modified: now, changed: now, content: content}
		next++
		return n
	}
	root := make(directory, nil)
	root.parent, root.links = root, 1
	root.add(tmpName, &node{inode: tmpInode, kind: directory})
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for _, f := range files {
		at := root
		folder, name := "", f.Path
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			folder, name = name[:i], name[i+1:]
		}
		if f.Path == tmpName || strings.HasPrefix(f.Path, tmpName+"/") {
			continue // hidden by /tmp
		}
		for part := range strings.SplitSeq(folder, "/") {
			if part == "" {
				continue
			}
			if at.entries[part] == nil {
				at.add(part, make(directory, nil))
			}
			if at = at.entries[part]; at.kind != directory {
				break
			}
		}
		if at.kind == directory && at.entries[name] == nil {
			at.add(name, make(regularFile, f.Content))
		}
	}
	if root.entries["app"] == nil {
		root.add("app", make(symbolicLink, []byte(".")))
	}
	return root
}
