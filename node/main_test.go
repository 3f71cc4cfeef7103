package node

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the node that tests of signals start as a process of its own.
func TestMain(m *testing.M) {
	if data := os.Getenv(childData); data != "" {
		os.Exit(childMain(data))
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // they end, or do not, in their own time
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}
