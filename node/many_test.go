package node

import (
	"fmt"
	"sync"
	"testing"
)

// TestManyPythonPrograms calls 200 Python programs in turn, on fewer instances than programs: none fails, each is itself, and
// no request sees another's state.
func TestManyPythonPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("200 deploys")
	}
	t.Parallel()
	const programs = 200
	w := newWorld(t, Config{Instances: 64})
	all := make([]program, programs)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := worker; n < programs; n += 4 {
				version := []string{"python3.11", "python3.13"}[n%2]
				var err error
				if all[n], err = w.publish(deployment{name: fmt.Sprint("python ", n), runtime: version, source: fmt.Sprintf(`import sys
calls = []
def handler(req, context=None):
    calls.append(req)
    return {'program': %d, 'calls': len(calls), 'version': 'python%%d.%%d' %% sys.version_info[:2]}
`, n)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	for range 2 {
		for n, p := range all {
			p.want("", 200, fmt.Sprintf(`{"program":%d,"calls":1,"version":"python3.%d"}`, n, 11+2*(n%2)))
		}
	}
}
