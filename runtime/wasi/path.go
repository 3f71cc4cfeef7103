package wasi

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A place is where a path leads.
type place struct {
	dir   *node  // that has it, or would
	name  string // in dir; empty: the path ends in "." or "..", and node is dir
	node  *node  // nil: nothing is there
	slash bool   // the path ends in a slash: only a directory will do
}

// walk finds where a path leads that begins at base. It does not leave base, neither by ".." nor by a symbolic link; one with an
// absolute target is followed where base is the root. follow is for the last part; those before it are always followed.
func (p *process) walk(base *node, path []byte, follow bool) (place, errno) {
	switch {
	case len(path) == 0:
		return place{}, eNOENT
	case len(path) > pathMost:
		return place{}, eNAMETOOLONG
	case bytes.IndexByte(path, 0) >= 0:
		return place{}, eINVAL
	case !utf8.Valid(path):
		return place{}, eILSEQ
	case path[0] == '/':
		return place{}, ePERM
	}
	way := append(make([]*node, 0, 8), base)
	rest := string(path)
	for links := 0; ; {
		dir := way[len(way)-1]
		if dir.kind != directory {
			return place{}, eNOTDIR
		}
		part, behind, slash := strings.Cut(rest, "/")
		behind = strings.TrimLeft(behind, "/")
		last := behind == ""
		rest = behind
		switch {
		case len(part) > nameMost:
			return place{}, eNAMETOOLONG
		case part == "..":
			if len(way) == 1 {
				return place{}, ePERM
			}
			way = way[:len(way)-1]
			fallthrough
		case part == "." || part == "":
			if last {
				dir = way[len(way)-1]
				return place{dir: dir, node: dir, slash: slash}, 0
			}
			continue
		}
		n := p.child(dir, part)
		switch {
		case n == nil && !last:
			return place{}, eNOENT
		case n != nil && n.kind == symbolicLink && (!last || follow || slash):
			if links++; links > linksMost {
				return place{}, eLOOP
			}
			if rest = string(n.content); slash {
				rest += "/" + behind
			}
			if len(rest) > pathMost {
				return place{}, eNAMETOOLONG
			}
			if strings.HasPrefix(rest, "/") {
				if base.inode != rootInode {
					return place{}, ePERM
				}
				way = way[:1]
				rest = strings.TrimLeft(rest, "/")
			}
		case last:
			if n != nil && slash && n.kind != directory {
				return place{}, eNOTDIR
			}
			return place{dir, part, n, slash}, 0
		default:
			way = append(way, n)
		}
	}
}

// child is the directory's entry; nil if there is none.
func (p *process) child(dir *node, name string) *node {
	if dir == p.root && name == tmpName {
		return p.tmp
	}
	return dir.entries[name]
}
