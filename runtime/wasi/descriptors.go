package wasi

import (
	"encoding/binary"
	"math"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// Calls on descriptors.

func (p *process) prestat(c *call) errno {
	fd, e := p.fd(c.Args[0], 0)
	if e == 0 && fd.preopened == "" {
		e = eBADF
	}
	if e != 0 {
		return e
	}
	return c.put64(c.Args[1], uint64(len(fd.preopened))<<32) // the tag 0: a directory
}

func (p *process) prestatName(c *call) errno {
	fd, e := p.fd(c.Args[0], 0)
	switch {
	case e != 0:
		return e
	case fd.preopened == "":
		return eBADF
	case c.Args[2] < uint64(len(fd.preopened)):
		return eNAMETOOLONG
	}
	to, e := c.bytes(c.Args[1], uint64(len(fd.preopened)))
	copy(to, fd.preopened)
	return e
}

// file finds the descriptor of a file or directory.
func (p *process) file(number uint64, need rights) (*descriptor, errno) {
	fd, e := p.fd(number, need)
	switch {
	case e != 0:
		return nil, e
	case fd.stream():
		return nil, eINVAL
	case fd.node == nil:
		e = p.mount()
	}
	return fd, e
}

// position is where a read or a write begins, and where it puts how much it did: at the descriptor's offset, or for fd_pread and
// fd_pwrite where the call says.
func (p *process) position(c *call, number uint64, need rights) (fd *descriptor, offset *uint64, result uint64, e errno) {
	if fd, e = p.fd(number, 0); e == 0 && fd.kind == directory {
		return nil, nil, 0, eISDIR
	}
	if fd, e = p.fd(number, need); e != 0 {
		return nil, nil, 0, e
	}
	if c.Function != wasm.FdPread && c.Function != wasm.FdPwrite {
		return fd, &fd.offset, c.Args[3], 0
	}
	if fd.node == nil {
		return nil, nil, 0, eSPIPE
	}
	at := c.Args[3]
	_, e = p.fd(number, rightFdSeek)
	return fd, &at, c.Args[4], e
}

func (p *process) read(c *call) errno {
	fd, offset, result, e := p.position(c, c.Args[0], rightFdRead)
	if e != 0 {
		return e
	}
	if fd.node == nil && p.exchange != nil {
		return p.exchange.read(c)
	}
	return c.vectors(c.Args[1], c.Args[2], result, func(buffer []byte) (int, errno) {
		if fd.node == nil {
			return 0, 0 // nothing is on standard input
		}
		n := copy(buffer, fd.node.content[min(*offset, fd.node.size()):])
		*offset += uint64(n)
		return n, 0
	})
}

func (p *process) write(c *call) errno {
	fd, offset, result, e := p.position(c, c.Args[0], rightFdWrite)
	if e != 0 {
		return e
	}
	if fd.node == nil {
		if p.exchange == nil {
			return eBADF // the log takes what is written to it
		}
		return p.exchange.write(c)
	}
	n := fd.node
	if fd.flags&fdAppend != 0 && c.Function == wasm.FdWrite {
		fd.offset = n.size()
	}
	return c.vectors(c.Args[1], c.Args[2], result, func(buffer []byte) (int, errno) {
		end := *offset + uint64(len(buffer))
		if len(buffer) == 0 {
			return 0, 0
		}
		if end < *offset || end > math.MaxInt64 {
			return 0, eFBIG
		}
		if end > n.size() {
			if e := p.resize(n, end); e != 0 {
				return 0, e
			}
		}
		copy(n.content[*offset:], buffer)
		*offset = end
		n.touch()
		return len(buffer), 0
	})
}

func (p *process) seek(c *call, delta, whence, result uint64) errno {
	need := rightFdSeek
	if delta == 0 && whence == 1 {
		need = rightFdTell
	}
	fd, e := p.fd(c.Args[0], 0)
	if e == 0 && fd.stream() {
		return eSPIPE
	}
	if fd, e = p.fd(c.Args[0], need); e != 0 {
		return e
	}
	var from uint64
	switch whence {
	case 0:
	case 1:
		from = fd.offset
	case 2:
		from = fd.node.size()
	default:
		return eINVAL
	}
	to := int64(from) + int64(delta)
	if to < 0 {
		return eINVAL
	}
	if e := c.put64(result, uint64(to)); e != 0 {
		return e
	}
	fd.offset = uint64(to)
	return 0
}

func (p *process) tell(c *call) errno { return p.seek(c, 0, 1, c.Args[1]) }

func (p *process) renumber(from, to uint64) errno {
	fd, e := p.fd(from, 0)
	if e != 0 {
		return e
	}
	if _, e := p.fd(to, 0); e != 0 {
		return e
	}
	switch {
	case from == to:
		return 0
	case fd.stream():
		return eNOTSUP // what goes to the log, or the reply, goes there by its number
	}
	p.close(to)
	p.fds[to], p.fds[from] = fd, nil
	return 0
}

func (p *process) fdstat(c *call) errno {
	fd, e := p.fd(c.Args[0], 0)
	if e != 0 {
		return e
	}
	to, e := c.bytes(c.Args[1], 24)
	if e != 0 {
		return e
	}
	clear(to)
	to[0] = byte(fd.kind)
	binary.LittleEndian.PutUint16(to[2:], fd.flags)
	binary.LittleEndian.PutUint64(to[8:], uint64(fd.rights))
	binary.LittleEndian.PutUint64(to[16:], uint64(fd.inheriting))
	return 0
}

func (p *process) setFlags(number, flags uint64) errno {
	fd, e := p.fd(number, 0)
	switch {
	case e != 0:
		return e
	case fd.stream():
		return eNOTSUP
	case flags&^fdFlagAll != 0:
		return eINVAL
	case fd.rights&rightFdFdstatSetFlags == 0:
		return eNOTCAPABLE
	}
	fd.flags = uint16(flags)
	return 0
}

func (p *process) setRights(number uint64, base, inheriting rights) errno {
	fd, e := p.fd(number, 0)
	if e != 0 {
		return e
	}
	if base&^fd.rights != 0 || inheriting&^fd.inheriting != 0 {
		return eNOTCAPABLE
	}
	fd.rights, fd.inheriting = base, inheriting
	return 0
}

// filestat writes what is known of a file.
func (c *call) filestat(to uint64, n *node) errno {
	b, e := c.bytes(to, 64)
	if e != 0 {
		return e
	}
	device := uint64(1)
	if n.inode >= tmpInode {
		device = 2
	}
	binary.LittleEndian.PutUint64(b, device)
	binary.LittleEndian.PutUint64(b[8:], n.inode)
	binary.LittleEndian.PutUint64(b[16:], uint64(n.kind))
	binary.LittleEndian.PutUint64(b[24:], n.links)
	binary.LittleEndian.PutUint64(b[32:], n.size())
	binary.LittleEndian.PutUint64(b[40:], n.accessed)
	binary.LittleEndian.PutUint64(b[48:], n.modified)
	binary.LittleEndian.PutUint64(b[56:], n.changed)
	return 0
}

func (p *process) fdFilestat(c *call) errno {
	fd, e := p.fd(c.Args[0], rightFdFilestatGet)
	if e != 0 {
		return e
	}
	if fd.stream() {
		return c.filestat(c.Args[1], &node{inode: c.Args[0], kind: fd.kind})
	}
	if e := p.mount(); e != 0 {
		return e
	}
	return c.filestat(c.Args[1], fd.node)
}

func (p *process) setSize(number, size uint64) errno {
	fd, e := p.file(number, rightFdFilestatSetSize)
	if e != 0 {
		return e
	}
	if e := p.resize(fd.node, size); e != 0 {
		return e
	}
	fd.node.touch()
	return 0
}

func (p *process) fdSetTimes(number, accessed, modified, flags uint64) errno {
	fd, e := p.file(number, rightFdFilestatSetTimes)
	if e != 0 {
		return e
	}
	return fd.node.setTimes(accessed, modified, flags)
}

func (n *node) setTimes(accessed, modified, flags uint64) errno {
	const both, bothModified = setAccess | setAccessNow, setModified | setModifiedNow
	switch {
	case flags&^(both|bothModified) != 0 || flags&both == both || flags&bothModified == bothModified:
		return eINVAL
	case n.readOnly:
		return eROFS
	}
	n.changed = unixNow()
	if flags&setAccessNow != 0 {
		accessed = n.changed
	}
	if flags&setModifiedNow != 0 {
		modified = n.changed
	}
	if flags&both != 0 {
		n.accessed = accessed
	}
	if flags&bothModified != 0 {
		n.modified = modified
	}
	return 0
}

func (p *process) advise(number, advice uint64) errno {
	_, e := p.file(number, rightFdAdvise)
	if e == 0 && advice > 5 {
		e = eINVAL
	}
	return e // all of it is in memory
}

func (p *process) allocate(number, offset, length uint64) errno {
	fd, e := p.file(number, rightFdAllocate)
	end := offset + length
	switch {
	case e != 0:
		return e
	case length == 0 || offset > math.MaxInt64 || length > math.MaxInt64:
		return eINVAL
	case end > math.MaxInt64:
		return eFBIG
	case end <= fd.node.size():
		return 0
	}
	if e := p.resize(fd.node, end); e != 0 {
		return e
	}
	fd.node.touch()
	return 0
}

// readdir fills the buffer with entries; the last may be cut, which says that there are more.
func (p *process) readdir(c *call) errno {
	fd, e := p.fd(c.Args[0], 0)
	if e == 0 && fd.kind != directory {
		e = eNOTDIR
	}
	if e == 0 {
		fd, e = p.file(c.Args[0], rightFdReaddir)
	}
	if e != 0 {
		return e
	}
	buffer, e := c.bytes(c.Args[1], c.Args[2])
	if e != 0 {
		return e
	}
	d, cookie, used := fd.node, c.Args[3], 0
	put := func(next uint64, name string, n *node) {
		var head [24]byte
		binary.LittleEndian.PutUint64(head[:], next)
		binary.LittleEndian.PutUint64(head[8:], n.inode)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(name)))
		head[20] = byte(n.kind)
		used += copy(buffer[used:], head[:])
		used += copy(buffer[used:], name)
	}
	if cookie == 0 {
		put(1, ".", d)
	}
	if cookie <= 1 {
		put(firstCookie, "..", d.parent)
	}
	for _, entry := range d.from(cookie) {
		if used == len(buffer) {
			break
		}
		put(entry.cookie+1, entry.name, entry.node)
	}
	return c.put32(c.Args[4], uint32(used))
}
