package chain

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines of ours. Those that are left out are go-ethereum's, which end later or never.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/syndtr/goleveldb/leveldb.(*DB).mpoolDrain"),
		goleak.IgnoreTopFunction("github.com/ethereum/go-ethereum/core.(*txSenderCacher).cache"))
}
