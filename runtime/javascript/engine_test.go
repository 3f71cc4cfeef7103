package javascript

import (
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/enginetest"
)

func newLab(t testing.TB) *enginetest.Lab {
	return enginetest.New(t, enginetest.Engine{Name: "javascript", Version: Version(), Module: Module, Entrypoint: "function.js"})
}

func TestPrograms(t *testing.T) { newLab(t).Programs(t) }

// What a request writes has to be restored after it: 100 ns and more a page.
func TestPagesWritten(t *testing.T) {
	l := newLab(t)
	for folder, most := range map[string]int{"hello": 12, "guide-context": 24, "guide-store": 30} {
		t.Run(folder, func(t *testing.T) {
			written := l.PagesWritten(t, l.Read(t, "testdata/"+folder))
			t.Logf("%d pages", written)
			if written > most {
				t.Errorf("%d pages are written, at most %d are expected", written, most)
			}
		})
	}
}

// BenchmarkHandle is the guide's function in a fresh instance: restore, start, run, answer.
func BenchmarkHandle(b *testing.B) {
	l := newLab(b)
	l.Benchmark(b, l.Read(b, "testdata/hello"), enginetest.Request("/", "name=Alice"))
}
