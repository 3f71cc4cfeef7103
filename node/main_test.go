package node

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the node that tests of signals start as a process of its own. The nodes of a run share their machine code.
func TestMain(m *testing.M) {
	if data := os.Getenv(childData); data != "" {
		os.Exit(childMain(data))
	}
	cache := ""
	if os.Getenv("ALEPH_CACHE") == "" {
		var err error
		if cache, err = os.MkdirTemp("", "cache-"); err != nil {
			panic(err)
		}
		os.Setenv("ALEPH_CACHE", cache)
	}
	goleak.VerifyTestMain(m,
		goleak.Cleanup(func(status int) {
			if cache != "" {
				os.RemoveAll(cache)
			}
			os.Exit(status)
		}),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // they end, or do not, in their own time
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"), // of the development chain's go-ethereum
		goleak.IgnoreTopFunction("github.com/ethereum/go-ethereum/core.(*txSenderCacher).cache"))
}
