package wasi

import (
	"sync"
	"time"

	"github.com/aleph-edge/aleph-edge/runtime/wasm"
)

// A Program is what the runs of one program share.
type Program struct {
	// Arguments are its command line, the first its own name.
	Arguments []string
	// Variables are its environment, as NAME=value.
	Variables []string
	// Files gives its files; it is called once, when a run first looks for one. Nil: there are none.
	Files func() ([]File, error)

	once sync.Once
	root *node // nil: the files cannot be had
}

func (p *Program) tree() *node {
	p.once.Do(func() {
		var files []File
		if p.Files != nil {
			var err error
			if files, err = p.Files(); err != nil {
				return
			}
		}
		p.root = tree(files)
	})
	return p.root
}

// System is what the program's runs find around them, where what they write to standard output goes to the log.
func (p *Program) System() wasm.System {
	return wasm.System{Process: func() wasm.Process { return newProcess(p) }}
}

// A process answers the calls of one run.
type process struct {
	program   *Program
	variables []string
	exchange  *exchange // of a command
	root, tmp *node     // nil: no file was looked for
	inodes    uint64
	used      int64 // bytes of /tmp
	fds       []*descriptor
	slept     time.Duration // what the call that waits began to wait for
	slot      *wasm.Slot    // of the call that is answered
}

var _ wasm.Process = (*process)(nil)

// A descriptor is what a number stands for.
type descriptor struct {
	kind       filetype // of standard input and output, which have no node
	node       *node
	offset     uint64
	flags      uint16
	rights     rights
	inheriting rights
	preopened  string
}

// preopen is the number of the root's descriptor.
const preopen = 3

func newProcess(program *Program) *process {
	p := &process{program: program, variables: program.Variables, inodes: tmpInode}
	log := rightFdWrite | rightFdFilestatGet | rightPollFdReadwrite
	p.fds = []*descriptor{
		{kind: unknown, rights: rightFdRead | rightFdFilestatGet | rightPollFdReadwrite},
		{kind: characterDevice, flags: fdAppend, rights: log},
		{kind: characterDevice, flags: fdAppend, rights: log},
		{kind: directory, rights: directoryRights, inheriting: allRights, preopened: "/"},
	}
	return p
}

// mount makes the tree, when it is first needed.
func (p *process) mount() errno {
	if p.root != nil {
		return 0
	}
	root := p.program.tree()
	if root == nil {
		return eIO
	}
	p.tmp = p.node(directory)
	p.tmp.parent, p.tmp.links = root, 1
	p.root = root
	for _, fd := range p.fds {
		if fd != nil && fd.preopened != "" {
			fd.node = root
		}
	}
	return 0
}

// node makes a node of /tmp.
func (p *process) node(kind filetype) *node {
	n := &node{inode: p.inodes, kind: kind}
	p.inodes++
	n.touch()
	n.accessed = n.modified
	return n
}

// charge takes n bytes of the quota, or gives them back.
func (p *process) charge(n int64) errno {
	if p.used+n > tmpQuota || !p.slot.Reserve(n) {
		return eNOSPC
	}
	p.used += n
	return 0
}

// resize makes a file's content size bytes long.
func (p *process) resize(n *node, size uint64) errno {
	if size > tmpQuota {
		return eNOSPC
	}
	units := func(size uint64) int64 { return int64((size + contentUnit - 1) / contentUnit * contentUnit) }
	old := n.size()
	if e := p.charge(units(size) - units(old)); e != 0 {
		return e
	}
	switch {
	case size <= old && uint64(cap(n.content)) > 4*size+contentUnit:
		n.content = append([]byte(nil), n.content[:size]...)
	case size <= uint64(cap(n.content)):
		n.content = n.content[:size]
	default:
		grown := make([]byte, size, min(max(size, 2*old), tmpQuota))
		copy(grown, n.content)
		n.content = grown
	}
	if size > old {
		clear(n.content[old:])
	}
	return 0
}

// release gives back what a node that has no name and no descriptor counted for.
func (p *process) release(n *node) {
	if n.links > 0 || n.open > 0 || n.readOnly {
		return
	}
	if n.kind == regularFile {
		p.resize(n, 0)
	}
	p.charge(-nodeCost)
}

// Left says what an image cannot hold of the process.
func (p *process) Left() string {
	for number, fd := range p.fds {
		if fd != nil && !fd.stream() && fd.preopened == "" {
			return "leaves a file open"
		}
		if number <= preopen && fd == nil {
			return "closes a standard descriptor"
		}
	}
	if p.tmp != nil && len(p.tmp.order) > 0 {
		return "leaves files in /tmp (" + p.tmp.order[0].name + ")"
	}
	return ""
}

// fd finds a descriptor that has the rights.
func (p *process) fd(number uint64, need rights) (*descriptor, errno) {
	if number >= uint64(len(p.fds)) || p.fds[number] == nil {
		return nil, eBADF
	}
	fd := p.fds[number]
	if missing := need &^ fd.rights; missing != 0 {
		if missing&(rightFdRead|rightFdWrite) != 0 {
			return nil, eBADF // it was not opened for that; POSIX knows no other word
		}
		return nil, eNOTCAPABLE
	}
	return fd, 0
}

// stream says that the descriptor is of standard input or output.
func (fd *descriptor) stream() bool { return fd.node == nil && fd.preopened == "" }

// free is the lowest number that no descriptor has.
func (p *process) free() (int, errno) {
	for number, fd := range p.fds {
		if fd == nil {
			return number, 0
		}
	}
	if len(p.fds) == descriptorMost {
		return 0, eMFILE
	}
	p.fds = append(p.fds, nil)
	return len(p.fds) - 1, 0
}

func (p *process) close(number uint64) {
	fd := p.fds[number]
	p.fds[number] = nil
	if fd.node != nil && !fd.node.readOnly && fd.preopened == "" {
		fd.node.open--
		p.release(fd.node)
	}
	if number == 1 || number == 2 {
		p.slot.TakeOutput(uint32(number))
	}
}

// Answer answers a call.
func (p *process) Answer(w *wasm.Call) uint16 {
	c := &call{w, w.Memory()}
	p.slot = w.Slot
	a := &w.Args
	e := eNOSYS
	switch w.Function {
	case wasm.ArgsGet:
		e = c.strings(a[0], a[1], p.program.Arguments)
	case wasm.ArgsSizesGet:
		e = c.sizes(a[0], a[1], p.program.Arguments)
	case wasm.EnvironGet:
		e = c.strings(a[0], a[1], p.environment())
	case wasm.EnvironSizesGet:
		e = c.sizes(a[0], a[1], p.environment())
	case wasm.FdPrestatGet:
		e = p.prestat(c)
	case wasm.FdPrestatDirName:
		e = p.prestatName(c)
	case wasm.FdRead, wasm.FdPread:
		e = p.read(c)
	case wasm.FdWrite, wasm.FdPwrite:
		e = p.write(c)
	case wasm.FdSeek:
		e = p.seek(c, a[1], a[2], a[3])
	case wasm.FdTell:
		e = p.tell(c)
	case wasm.FdClose:
		if _, e = p.fd(a[0], 0); e == 0 {
			p.close(a[0])
		}
	case wasm.FdRenumber:
		e = p.renumber(a[0], a[1])
	case wasm.FdFdstatGet:
		e = p.fdstat(c)
	case wasm.FdFdstatSetFlags:
		e = p.setFlags(a[0], a[1])
	case wasm.FdFdstatSetRights:
		e = p.setRights(a[0], rights(a[1]), rights(a[2]))
	case wasm.FdFilestatGet:
		e = p.fdFilestat(c)
	case wasm.FdFilestatSetSize:
		e = p.setSize(a[0], a[1])
	case wasm.FdFilestatSetTimes:
		e = p.fdSetTimes(a[0], a[1], a[2], a[3])
	case wasm.FdAdvise:
		e = p.advise(a[0], a[3])
	case wasm.FdAllocate:
		e = p.allocate(a[0], a[1], a[2])
	case wasm.FdSync:
		_, e = p.file(a[0], rightFdSync)
	case wasm.FdDatasync:
		_, e = p.file(a[0], rightFdDatasync)
	case wasm.FdReaddir:
		e = p.readdir(c)
	case wasm.PathOpen:
		e = p.open(c)
	case wasm.PathCreateDirectory:
		e = p.mkdir(c)
	case wasm.PathFilestatGet:
		e = p.pathFilestat(c)
	case wasm.PathFilestatSetTimes:
		e = p.pathSetTimes(c)
	case wasm.PathLink:
		e = p.link(c)
	case wasm.PathReadlink:
		e = p.readlink(c)
	case wasm.PathRemoveDirectory:
		e = p.rmdir(c)
	case wasm.PathRename:
		e = p.rename(c)
	case wasm.PathSymlink:
		e = p.symlink(c)
	case wasm.PathUnlinkFile:
		e = p.unlink(c)
	case wasm.PollOneoff:
		e = p.poll(c)
	case wasm.SockAccept, wasm.SockRecv, wasm.SockSend, wasm.SockShutdown:
		if _, e = p.fd(a[0], 0); e == 0 {
			e = eNOTSOCK // there are none
		}
	}
	return uint16(e)
}

func (p *process) environment() []string {
	if p.exchange != nil && !p.exchange.described {
		p.exchange.described = true
		p.variables = p.exchange.environment(p.program.Variables)
	}
	return p.variables
}

func unixNow() uint64 { return uint64(time.Now().UnixNano()) }
