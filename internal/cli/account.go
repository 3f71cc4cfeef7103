package cli

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network/account"
)

// shownKeyFile is the key's file as help shows it.
const shownKeyFile = "~/" + account.File

func (a *app) accountCommand() *cobra.Command {
	group := &cobra.Command{Use: "account", Short: "Show the account that deploys"}
	asGroup(group)
	var asJSON bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the account's address and where its key is",
		Long: `Show the account's address and where its key is: the variable ALEPH_PRIVATE_KEY, or else the file
` + shownKeyFile + `, which is made if it is not there. The key itself is never shown.`,
		Example: "  aleph account show\n  aleph node --allow-account $(aleph account show --json | jq -r .address)",
		Args:    arguments(),
		RunE: func(*cobra.Command, []string) error {
			owner, err := a.account()
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(struct {
					Address string `json:"address"`
					Source  string `json:"source"`
				}{owner.Address, owner.Source})
			}
			t := newTable(a.Out)
			t.row("Address", owner.Address)
			t.row("Key", owner.Source)
			return t.flush()
		},
	}
	show.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	group.AddCommand(show)
	return group
}

// account is the account that signs. If there is none yet it is made, and a note says where.
func (a *app) account() (*account.Account, error) {
	home, err := os.UserHomeDir()
	if err != nil && os.Getenv(account.Variable) == "" {
		return nil, withHint(fmt.Errorf("the account's key cannot be found: %w", err), "set HOME or "+account.Variable)
	}
	owner, err := account.Load(os.Getenv, home)
	if err != nil {
		return nil, err
	}
	if owner.Created {
		a.say("note", "made a key for the account "+owner.Address+" in "+owner.Source+": keep that file")
	}
	return owner, nil
}

// knownAddress is the account's address; empty if it has no key yet, or none that can be read.
func (a *app) knownAddress() string {
	home, err := os.UserHomeDir()
	if os.Getenv(account.Variable) == "" {
		if err != nil {
			return ""
		}
		if _, err := os.Stat(filepath.Join(home, account.File)); errors.Is(err, fs.ErrNotExist) {
			return ""
		}
	}
	owner, err := account.Load(os.Getenv, home)
	if err != nil {
		return ""
	}
	return owner.Address
}

// client is a client of the node that signs nothing. The caller closes it.
func (a *app) client() (*client.Client, error) { return a.clientFor(nil) }

func (a *app) clientFor(key *ecdsa.PrivateKey) (*client.Client, error) {
	c, err := client.New(a.host(), key)
	if err != nil {
		return nil, withHint(err, "see --api-host and ALEPH_API_HOST")
	}
	return c, nil
}
