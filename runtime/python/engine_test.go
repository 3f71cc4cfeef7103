package python_test

import (
	"testing"

	"github.com/aleph-edge/aleph-edge/runtime/enginetest"
	"github.com/aleph-edge/aleph-edge/runtime/python"
)

func newLab(t testing.TB, e *python.Engine) *enginetest.Lab {
	return enginetest.New(t, enginetest.Engine{
		Name: e.Name(), Version: e.Version(), Module: e.Module, Entrypoint: "function.py",
		Init: func(add func(path string, content []byte)) {
			for _, f := range python.InitFiles() {
				add(f.Path, f.Content)
			}
		},
	})
}

// each runs a test on every engine.
func each(t *testing.T, test func(t *testing.T, l *enginetest.Lab)) {
	for _, e := range python.Engines() {
		t.Run(e.Name(), func(t *testing.T) { test(t, newLab(t, e)) })
	}
}

func TestPrograms(t *testing.T) {
	each(t, func(t *testing.T, l *enginetest.Lab) { l.Programs(t) })
}

// What a request writes has to be restored after it: 100 ns and more a page.
func TestPagesWritten(t *testing.T) {
	each(t, func(t *testing.T, l *enginetest.Lab) {
		for folder, most := range map[string]int{"hello": 26, "guide-context": 48, "guide-store": 90} {
			t.Run(folder, func(t *testing.T) {
				written := l.PagesWritten(t, l.Read(t, "testdata/"+folder))
				t.Logf("%d pages", written)
				if written > most {
					t.Errorf("%d pages are written, at most %d are expected", written, most)
				}
			})
		}
	})
}

// BenchmarkHandle is the guide's function in a fresh instance: restore, start, run, answer.
func BenchmarkHandle(b *testing.B) {
	for _, e := range python.Engines() {
		b.Run(e.Name(), func(b *testing.B) {
			l := newLab(b, e)
			for _, folder := range []string{"hello", "guide-context", "asgi-lifespan"} {
				b.Run(folder, func(b *testing.B) {
					l.Benchmark(b, l.Read(b, "testdata/"+folder), enginetest.Request("/", "name=Alice"))
				})
			}
		})
	}
}
