package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStopWhilePreparing stops a node that compiles its languages, at different moments, with patience and with none: it ends
// in good order, and one that is started again on what is there serves.
func TestStopWhilePreparing(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	p := &process{site: site{TB: t, owner: newKey(t)}, data: t.TempDir()}
	t.Cleanup(func() {
		p.leave()
		p.kill()
	})
	for _, grace := range []string{"1ms", "10s"} {
		for _, after := range []time.Duration{0, 100 * time.Millisecond} {
			p.start("ALEPH_CACHE="+cache, childGrace+"="+grace)
			time.Sleep(after)
			if err := p.terminate(); err != nil {
				t.Errorf("stopped after %v: %v", after, err)
			}
		}
	}
	p.start("ALEPH_CACHE=" + cache)
	time.Sleep(100 * time.Millisecond)
	p.kill() // in the middle
	p.start("ALEPH_CACHE=" + cache)
	program := p.js("hello", `export default () => 'here'`)
	program.want("", 200, "here")
	if a := p.do("GET", "/api/v0/node", ""); !strings.Contains(a.body, `{"name":"javascript","runtimes":["nodejs16","nodejs18","nodejs20"],"state":"ready"}`) {
		t.Error(a.body)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), ".code") }) {
		t.Errorf("%v, %v", entries, err)
	}
}
