package message

import (
	"slices"
)

// An index finds the filters that a message matches without looking at the others. Each filter is kept under one value that a
// message must have to match it: the one that is likely to find the fewest messages it does not match. Looking a message up
// is walking those of its fields that filters are kept under; what is found is then compared as a whole. Filters that mean the
// same are one.
//
//	root ─ sender ─ "0x…" ─► filters
//	     ├ content ─ type ─ "chat" ─► filters
//	     │         └ ref ─ "ab…" ─► filters
//	     └ channel …
//
// It is not for several goroutines.
type index struct {
	filters map[string]*filter // by text
	every   []*filter          // without a field: at most one
	root    *branch
	pass    uint64 // of the last lookup
}

// A filter of the index, and who has it.
type filter struct {
	text     string
	is       pattern
	places   []place
	programs []subscriber
	pass     uint64 // of the last lookup that found it
}

type subscriber struct {
	program *program
	rank    int // of the filter among the program's
}

// A place is a value of a field.
type place struct {
	path  []string
	value any
}

// A branch is what is kept under a field.
type branch struct {
	fields map[string]*branch
	values map[any][]*filter
}

func newIndex() *index {
	return &index{filters: map[string]*filter{}, root: new(branch)}
}

// add makes a program hear of what a filter matches.
func (x *index) add(p *program, rank int, is pattern, text string) {
	f := x.filters[text]
	if f == nil {
		f = &filter{text: text, is: is}
		x.filters[text] = f
		if best, ok := cheapest(is, "", x.root); ok {
			f.places = best.places
		}
		for _, at := range f.places {
			x.root.put(at.path, at.value, f)
		}
		if len(f.places) == 0 {
			x.every = append(x.every, f)
		}
	}
	f.programs = append(f.programs, subscriber{p, rank})
}

// remove undoes add.
func (x *index) remove(p *program, text string) {
	f := x.filters[text]
	f.programs = slices.DeleteFunc(f.programs, func(s subscriber) bool { return s.program == p })
	if len(f.programs) > 0 {
		return
	}
	delete(x.filters, text)
	for _, at := range f.places {
		x.root.take(at.path, at.value, f)
	}
	x.every = slices.DeleteFunc(x.every, func(other *filter) bool { return other == f })
}

// match calls found for each filter that a message matches.
func (x *index) match(document map[string]any, found func(*filter)) {
	x.pass++
	for _, f := range x.every {
		found(f)
	}
	x.walk(x.root, document, document, found)
}

func (x *index) walk(at *branch, value any, document map[string]any, found func(*filter)) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			x.walk(at, element, document, found)
		}
		return
	case map[string]any:
		if len(value) < len(at.fields) {
			for name, below := range value {
				if branch := at.fields[name]; branch != nil {
					x.walk(branch, below, document, found)
				}
			}
			return
		}
		for name, branch := range at.fields {
			if below, there := value[name]; there {
				x.walk(branch, below, document, found)
			}
		}
		return
	}
	if len(at.values) == 0 {
		return
	}
	for _, f := range at.values[same(value)] {
		if f.pass == x.pass {
			continue
		}
		f.pass = x.pass
		if matches(f.is, document) {
			found(f)
		}
	}
}

func (b *branch) put(path []string, value any, f *filter) {
	for _, name := range path {
		below := b.fields[name]
		if below == nil {
			below = new(branch)
			if b.fields == nil {
				b.fields = map[string]*branch{}
			}
			b.fields[name] = below
		}
		b = below
	}
	if b.values == nil {
		b.values = map[any][]*filter{}
	}
	b.values[value] = append(b.values[value], f)
}

// take undoes put, and says whether the branch is empty now.
func (b *branch) take(path []string, value any, f *filter) bool {
	if len(path) > 0 {
		if below := b.fields[path[0]]; below != nil && below.take(path[1:], value, f) {
			delete(b.fields, path[0])
		}
	} else if left := slices.DeleteFunc(b.values[value], func(other *filter) bool { return other == f }); len(left) > 0 {
		b.values[value] = left
	} else {
		delete(b.values, value)
	}
	return len(b.fields) == 0 && len(b.values) == 0
}

// A choice is where a filter could be kept, and how much is likely to be found there in vain.
type choice struct {
	places []place
	cost   float64
}

// cheapest chooses where a pattern is kept: of an object's fields the cheapest one, of a list all of its values. It is false where no
// value must be there. b is the index at the path, nil where nothing is kept.
func cheapest(is pattern, path string, b *branch) (best choice, ok bool) {
	switch is := is.(type) {
	case object:
		for _, f := range is {
			var below *branch
			if b != nil {
				below = b.fields[f.name]
			}
			name := f.name
			if path != "" {
				name = path + "." + name
			}
			if c, found := cheapest(f.is, name, below); found && (!ok || c.cost < best.cost) {
				best, ok = c, true
				for i := range best.places {
					best.places[i].path = slices.Insert(best.places[i].path, 0, f.name)
				}
			}
		}
		return best, ok
	case anyOf:
		for _, one := range is {
			c, found := cheapest(one, path, b)
			if !found {
				return choice{}, false
			}
			best.cost += c.cost
			best.places = append(best.places, c.places...)
		}
		return best, true
	case nil:
		return choice{}, false
	}
	kept := 0
	if b != nil {
		kept = len(b.values[is])
	}
	return choice{[]place{{value: is}}, frequency(path, is) * float64(1+kept)}, true
}

// frequency is a guess of how often messages have a value in a field, to compare with others'.
func frequency(path string, value any) float64 {
	switch path {
	case "item_hash":
		return 1
	case "channel", "content.type":
		return 8
	case "type":
		return 50
	case "chain", "item_type":
		return 100
	}
	if _, ok := value.(bool); ok {
		return 50
	}
	return 4
}
