package wasi

import (
	"bytes"
	"unicode/utf8"
)

// Calls on paths.

// at finds where the path at [pointer, pointer+length) leads from the directory of a descriptor that has the rights.
func (p *process) at(c *call, number uint64, need rights, pointer, length uint64, follow bool) (place, *descriptor, errno) {
	fd, e := p.fd(number, 0)
	if e == 0 && fd.kind != directory {
		e = eNOTDIR
	}
	if e == 0 {
		_, e = p.file(number, need)
	}
	if e != 0 {
		return place{}, nil, e
	}
	path, e := c.bytes(pointer, length)
	if e != 0 {
		return place{}, nil, e
	}
	at, e := p.walk(fd.node, path, follow)
	return at, fd, e
}

// writable says why nothing can be added to, or taken from, the directory of a place.
func (at *place) writable() errno {
	switch {
	case at.name == "":
		return eINVAL
	case at.dir.readOnly:
		return eROFS
	case at.dir.links == 0:
		return eNOENT // it was removed
	}
	return 0
}

// create adds a node to the directory of a place.
func (p *process) create(at place, kind filetype, content []byte) (*node, errno) {
	if e := at.writable(); e != 0 {
		return nil, e
	}
	if e := p.charge(nodeCost + int64(len(at.name)) + int64(len(content))); e != 0 {
		return nil, e
	}
	n := p.node(kind)
	n.content = content
	at.dir.add(at.name, n)
	at.dir.touch()
	return n, 0
}

// remove takes the place's node from its directory.
func (p *process) remove(at place) {
	n := at.node
	at.dir.drop(at.name)
	at.dir.touch()
	n.changed = unixNow()
	p.charge(-int64(len(at.name)))
	if n.kind == symbolicLink {
		p.charge(-int64(len(n.content)))
	}
	p.release(n)
}

func (p *process) open(c *call) errno {
	a := &c.Args
	flags, base, inheriting, fdFlags := a[4], rights(a[5]), rights(a[6]), a[7]
	need := rightPathOpen
	if flags&openCreate != 0 {
		need |= rightPathCreateFile
	}
	if flags&openTruncate != 0 {
		need |= rightPathFilestatSetSize
	}
	follow := a[1]&followSymlink != 0 && flags&(openCreate|openExclusive) != openCreate|openExclusive
	at, dir, e := p.at(c, a[0], need, a[2], a[3], follow)
	switch {
	case e != 0:
		return e
	case a[1]&^followSymlink != 0 || flags&^openFlagAll != 0 || fdFlags&^fdFlagAll != 0 || flags&openDirectory != 0 && flags&openCreate != 0:
		return eINVAL
	case (base|inheriting)&allRights&^dir.inheriting != 0:
		return eNOTCAPABLE
	}
	number, e := p.free()
	if e != 0 {
		return e
	}
	if _, e := c.bytes(a[8], 4); e != 0 {
		return e
	}
	n := at.node
	switch {
	case n == nil && flags&openCreate == 0:
		return eNOENT
	case n == nil && at.slash:
		return eISDIR
	case n == nil:
		if n, e = p.create(at, regularFile, nil); e != 0 {
			return e
		}
	case flags&openCreate != 0 && flags&openExclusive != 0:
		return eEXIST
	case n.kind == symbolicLink:
		return eLOOP
	case n.kind != directory && flags&openDirectory != 0:
		return eNOTDIR
	case n.kind == directory && (flags&(openTruncate|openCreate) != 0 || base&rightFdWrite != 0):
		return eISDIR
	case n.kind == regularFile && n.readOnly && (base&rightFdWrite != 0 || flags&openTruncate != 0):
		return eROFS
	}
	fd := &descriptor{kind: n.kind, node: n, flags: uint16(fdFlags), rights: base & fileRights, inheriting: inheriting & allRights}
	if n.kind == directory {
		fd.rights = base & directoryRights
	} else if n.readOnly {
		fd.rights &^= writeRights // Go asks for one of them to read
	}
	p.fds[number] = fd
	if !n.readOnly {
		n.open++
	}
	if flags&openTruncate != 0 {
		p.resize(n, 0)
		n.touch()
	}
	return c.put32(a[8], uint32(number))
}

func (p *process) mkdir(c *call) errno {
	at, _, e := p.at(c, c.Args[0], rightPathCreateDirectory, c.Args[1], c.Args[2], false)
	if e == 0 && at.node != nil {
		e = eEXIST
	}
	if e == 0 {
		_, e = p.create(at, directory, nil)
	}
	return e
}

func (p *process) pathFilestat(c *call) errno {
	a := &c.Args
	at, _, e := p.at(c, a[0], rightPathFilestatGet, a[2], a[3], a[1]&followSymlink != 0)
	if e == 0 && at.node == nil {
		e = eNOENT
	}
	if e != 0 {
		return e
	}
	return c.filestat(a[4], at.node)
}

func (p *process) pathSetTimes(c *call) errno {
	a := &c.Args
	at, _, e := p.at(c, a[0], rightPathFilestatSetTimes, a[2], a[3], a[1]&followSymlink != 0)
	if e == 0 && at.node == nil {
		e = eNOENT
	}
	if e != 0 {
		return e
	}
	return at.node.setTimes(a[4], a[5], a[6])
}

func (p *process) link(c *call) errno {
	a := &c.Args
	from, _, e := p.at(c, a[0], rightPathLinkSource, a[2], a[3], a[1]&followSymlink != 0)
	if e != 0 {
		return e
	}
	to, _, e := p.at(c, a[4], rightPathLinkTarget, a[5], a[6], false)
	switch {
	case e != 0:
		return e
	case from.node == nil:
		return eNOENT
	case from.node.kind == directory:
		return ePERM
	case to.node != nil:
		return eEXIST
	case to.slash:
		return eNOENT
	}
	if e := to.writable(); e != 0 {
		return e
	}
	if from.node.readOnly {
		return eXDEV
	}
	if e := p.charge(int64(len(to.name))); e != 0 {
		return e
	}
	to.dir.add(to.name, from.node)
	to.dir.touch()
	from.node.changed = unixNow()
	return 0
}

func (p *process) readlink(c *call) errno {
	a := &c.Args
	at, _, e := p.at(c, a[0], rightPathReadlink, a[1], a[2], false)
	switch {
	case e != 0:
		return e
	case at.node == nil:
		return eNOENT
	case at.node.kind != symbolicLink:
		return eINVAL
	}
	buffer, e := c.bytes(a[3], a[4])
	if e != 0 {
		return e
	}
	return c.put32(a[5], uint32(copy(buffer, at.node.content)))
}

func (p *process) rmdir(c *call) errno {
	at, _, e := p.at(c, c.Args[0], rightPathRemoveDirectory, c.Args[1], c.Args[2], false)
	switch {
	case e != 0:
		return e
	case at.node == nil:
		return eNOENT
	case at.node.kind != directory:
		return eNOTDIR
	}
	if e := at.writable(); e != 0 {
		return e
	}
	if len(at.node.order) > 0 {
		return eNOTEMPTY
	}
	p.remove(at)
	return 0
}

func (p *process) unlink(c *call) errno {
	at, _, e := p.at(c, c.Args[0], rightPathUnlinkFile, c.Args[1], c.Args[2], false)
	switch {
	case e != 0:
		return e
	case at.node == nil:
		return eNOENT
	case at.node.kind == directory:
		return eISDIR
	}
	if e := at.writable(); e != 0 {
		return e
	}
	p.remove(at)
	return 0
}

func (p *process) rename(c *call) errno {
	a := &c.Args
	from, _, e := p.at(c, a[0], rightPathRenameSource, a[1], a[2], false)
	if e != 0 {
		return e
	}
	to, _, e := p.at(c, a[3], rightPathRenameTarget, a[4], a[5], false)
	if e != 0 {
		return e
	}
	if from.node == nil {
		return eNOENT
	}
	for _, at := range []*place{&from, &to} {
		if e := at.writable(); e != 0 {
			return e
		}
	}
	if from.node.kind == directory {
		for d := to.dir; ; d = d.parent {
			if d == from.node {
				return eINVAL // into itself
			}
			if d == d.parent {
				break
			}
		}
	} else if to.slash {
		return eNOTDIR
	}
	switch there := to.node; {
	case there == from.node:
		return 0
	case there == nil:
	case there.kind == directory && from.node.kind != directory:
		return eISDIR
	case there.kind != directory && from.node.kind == directory:
		return eNOTDIR
	case len(there.order) > 0:
		return eNOTEMPTY
	}
	if e := p.charge(int64(len(to.name)) - int64(len(from.name))); e != 0 {
		return e
	}
	if to.node != nil {
		p.remove(to)
	}
	from.dir.drop(from.name)
	to.dir.add(to.name, from.node)
	from.dir.touch()
	to.dir.touch()
	from.node.changed = unixNow()
	return 0
}

func (p *process) symlink(c *call) errno {
	a := &c.Args
	target, e := c.bytes(a[0], a[1])
	if e != 0 {
		return e
	}
	at, _, e := p.at(c, a[2], rightPathSymlink, a[3], a[4], false)
	switch {
	case e != 0:
		return e
	case len(target) == 0:
		return eNOENT
	case len(target) > pathMost:
		return eNAMETOOLONG
	case bytes.IndexByte(target, 0) >= 0:
		return eINVAL
	case !utf8.Valid(target):
		return eILSEQ
	case at.node != nil:
		return eEXIST
	case at.slash:
		return eNOENT
	}
	_, e = p.create(at, symbolicLink, bytes.Clone(target))
	return e
}
