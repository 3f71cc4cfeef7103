package cli

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/aleph-edge/aleph-edge/internal/bundle"
	"github.com/aleph-edge/aleph-edge/internal/client"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// What a new program has where no flag says otherwise: the guide's values.
const (
	defaultMemory  = 128 // MiB
	defaultTimeout = 10  // seconds
)

// deployFlags are the flags of "program deploy". Those that were left out keep what the program has.
type deployFlags struct {
	name, id, description, runtime string
	memory, timeout                int
	file, entrypoint               string
	env                            []string
	noInternet, another, asJSON    bool
	triggers                       triggerFlags
}

func (a *app) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy --name NAME [--file FILE]",
		Short: "Deploy a function, or a new version of it",
		Long: `Deploy a function. FILE is a source file, a folder or a .zip. A folder or zip starts with main of its package.json, or
with index.js, function.js or main.js; in Python with main.py, function.py, handler.py or app.py.

The packages in a Python folder's requirements.txt, or in [project] of its pyproject.toml, are fetched by uv, or else by
pip, and deployed with it. They must be Python alone; one with native code is refused by name, with what to use instead.

A folder with a Cargo.toml or a go.mod is built first, by cargo or go; it is the current one if --file is left out. The runtimes
rust, go and wasm also take a WebAssembly module for wasip1 as FILE. Another program can be the runtime, if its module is a language
engine or an interpreter: --runtime takes its name or id.

If this account has a program of that name, it is updated: the id, the URL and the stored data stay, requests go on, and
flags that are left out keep what it has. With --new it is another program of the same name.

The program is ready when the command ends. A program that cannot start is not deployed, and the error says why.`,
		Example: `  aleph program deploy --name hello-world --runtime nodejs16 --memory 128 --timeout 10 --file ./function.js
  aleph program deploy --name api --file ./api --entrypoint server.mjs --env GREETING=hello --env LANG=en
  aleph program deploy --name shop --file ./shop --runtime python3.13 --entrypoint main:app
  aleph program deploy --name fast --runtime rust
  ID=$(aleph program deploy --name api --file ./api --json | jq -r .item_hash)`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.name == "" && f.id == "" {
				return usagef("--name is required")
			}
			if f.file == "" && bundle.Compiles(".", f.runtime) {
				f.file = "."
			}
			if f.file == "" {
				return usagef("--file is required: there is nothing here to build with cargo or go")
			}
			return a.deploy(cmd.Context(), f, cmd.Flags())
		},
	}
	f.register(cmd.Flags())
	f.triggers.register(cmd.Flags())
	cmd.MarkFlagsMutuallyExclusive("id", "new")
	_ = cmd.RegisterFlagCompletionFunc("runtime", a.completeRuntime)
	_ = cmd.RegisterFlagCompletionFunc("id", a.completeProgram)
	return cmd
}

func (f *deployFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.name, "name", "n", "", "the program's `name`")
	flags.StringVarP(&f.file, "file", "f", "", "the code: a source `file`, a folder, a .zip or a WebAssembly module")
	flags.StringVar(&f.runtime, "runtime", "", "the `runtime`, as nodejs16 (default: "+bundle.JavaScript.DefaultRuntime()+" for JavaScript, "+bundle.Python.DefaultRuntime()+" for Python)")
	flags.IntVar(&f.memory, "memory", defaultMemory, "memory limit in `MiB`, up to 1024")
	flags.IntVar(&f.timeout, "timeout", defaultTimeout, "time limit of one call in `seconds`, up to 60")
	flags.StringArrayVar(&f.env, "env", nil, "a public variable `K=V`; repeat for more. Given, they replace the program's; \"\" removes them")
	flags.StringVar(&f.description, "description", "", "what the program is for")
	flags.StringVar(&f.entrypoint, "entrypoint", "", "`what` to start: a file in the folder or zip, as server.mjs, or an object in a module, as main:app")
	flags.BoolVar(&f.noInternet, "no-internet", false, "the program may make no outbound requests; =false lets it again")
	flags.StringVar(&f.id, "id", "", "update the program with this `ID`, not the one of that name")
	flags.BoolVar(&f.another, "new", false, "make another program, even if one has this name")
	flags.BoolVar(&f.asJSON, "json", false, `print {"item_hash","endpoint"}`)
}

// deploy makes or updates a program and prints where it is.
func (a *app) deploy(ctx context.Context, f deployFlags, given *pflag.FlagSet) error {
	variables, err := parseVariables(f.env)
	if err != nil {
		return err
	}
	read := func() (*bundle.Source, error) { return bundle.Read(f.file, f.entrypoint, f.runtime) }
	source, err := read()
	if err != nil && (f.runtime == "" || bundle.Known(f.runtime)) {
		return err
	}
	owner, account := a.account()
	if account != nil {
		return account
	}
	c, fault := a.clientFor(owner.Key())
	if fault != nil {
		return fault
	}
	defer c.Close()
	if named, fault := a.runtimeNamed(ctx, c, f.runtime, owner.Address); fault != nil {
		return fault
	} else if named != f.runtime { // it may start from other files
		f.runtime = named
		source, err = read()
	}
	if err != nil {
		return err
	}
	if len(variables) > 0 {
		a.say("note", "variables given by --env are public: anyone can read them in the program's message")
	}

	existing, err := a.deployed(ctx, c, f, owner.Address)
	if err != nil {
		return err
	}
	wanted := stateOf(existing)
	wanted.apply(f, given, variables, source.Language)
	if err := f.triggers.apply(&wanted.triggers, given); err != nil {
		return err
	}
	if wanted.runtime == "" {
		return usagef("--runtime is required: %s does not tell it", f.file)
	}
	if runsAs := bundle.RunsAs(wanted.runtime); runsAs != "" {
		a.say("note", wanted.runtime+" runs as "+runsAs)
	}
	code, err := source.Pack(ctx, wanted.runtime, bundle.Reporter{Note: func(text string) { a.say("note", text) }, Progress: a.progress, Output: a.Err})
	if err != nil {
		return err
	}
	wanted.encoding, wanted.entrypoint = code.Encoding, code.Entrypoint
	d := deployment{client: c, key: owner.Key(), code: code, progress: a.building(ctx, c, wanted.runtime)}
	if existing == nil {
		id, err := d.publish(ctx, newSettings(), wanted, "")
		if err != nil {
			return err
		}
		program, err := c.Program(ctx, id)
		if err != nil {
			return err
		}
		return a.printDeployed(program, f.asJSON)
	}
	changed, err := d.update(ctx, existing, wanted)
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		a.say("note", fmt.Sprintf("nothing to change: %s is deployed like this", existing.Name))
	} else {
		a.say("note", fmt.Sprintf("updated %s: %s", wanted.name, strings.Join(changed, ", ")))
	}
	return a.printDeployed(*existing, f.asJSON)
}

// deployed finds the program to update; nil if there is none.
func (a *app) deployed(ctx context.Context, c *client.Client, f deployFlags, owner string) (*client.Program, error) {
	if f.another {
		return nil, nil
	}
	programs, err := c.Programs(ctx, owner)
	if err != nil {
		return nil, err
	}
	if f.id != "" {
		program, err := pick(programs, f.id, owner)
		return &program, err
	}
	programs = slices.DeleteFunc(programs, func(p client.Program) bool { return p.Name != f.name })
	switch len(programs) {
	case 0:
		return nil, nil
	case 1:
		return &programs[0], nil
	}
	return nil, withHint(ambiguous(f.name, programs), "say which one to update with --id ID, or make another with --new")
}

func (a *app) printDeployed(p client.Program, asJSON bool) error {
	if asJSON {
		return a.printJSON(struct {
			ItemHash string `json:"item_hash"`
			Endpoint string `json:"endpoint"`
		}{p.ItemHash, p.Endpoint})
	}
	_, err := fmt.Fprintf(a.Out, "Function deployed with ID: %s\nEndpoint URL: %s\n", p.ItemHash, p.Endpoint)
	return err
}

// state is what a version of a program is made of, but for the bytes of its code.
type state struct {
	name, description, runtime string
	memory, timeout            int
	variables                  map[string]string
	noInternet                 bool
	triggers                   triggers.Declaration
	encoding, entrypoint       string
}

// stateOf is what a program is now; of nil, what a new one starts from.
func stateOf(p *client.Program) state {
	if p == nil {
		return state{memory: defaultMemory, timeout: defaultTimeout}
	}
	return state{
		name: p.Name, description: p.Description, runtime: p.Runtime, memory: p.Memory, timeout: p.Timeout,
		variables: p.Variables, noInternet: p.NoInternet, triggers: declaredBy(p), encoding: p.Encoding, entrypoint: p.Entrypoint,
	}
}

// apply changes what the flags say. The runtime of a program that is now in another language is not kept.
func (s *state) apply(f deployFlags, given *pflag.FlagSet, variables map[string]string, language bundle.Language) {
	if f.name != "" {
		s.name = f.name
	}
	if given.Changed("description") {
		s.description = f.description
	}
	if given.Changed("memory") {
		s.memory = f.memory
	}
	if given.Changed("timeout") {
		s.timeout = f.timeout
	}
	if given.Changed("env") {
		s.variables = variables
	}
	if given.Changed("no-internet") {
		s.noInternet = f.noInternet
	}
	switch {
	case f.runtime != "":
		s.runtime = f.runtime
	case !language.Suits(s.runtime):
		s.runtime = language.DefaultRuntime()
	}
}

// difference names what differs between two states.
func (s *state) difference(other state) []string {
	var names []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"name", s.name == other.name},
		{"description", s.description == other.description},
		{"runtime", s.runtime == other.runtime},
		{"memory", s.memory == other.memory},
		{"timeout", s.timeout == other.timeout},
		{"variables", maps.Equal(s.variables, other.variables)},
		{"internet", s.noInternet == other.noInternet},
		{"triggers", sameTriggers(s.triggers, other.triggers)},
		{"entrypoint", s.encoding == other.encoding && s.entrypoint == other.entrypoint},
	} {
		if !field.same {
			names = append(names, field.name)
		}
	}
	return names
}

// deployment publishes the messages of one deploy.
type deployment struct {
	client   *client.Client
	key      *ecdsa.PrivateKey
	code     *bundle.Bundle
	progress func(string) func()
}

// update publishes what makes a program what is wanted, and names what changed. One message makes the new version, so it
// is served whole or not at all: where only the code differs that is a STORE with ref, else a PROGRAM with replaces,
// which brings its code along in a STORE of its own. After a rollback it is always the latter, since a STORE with ref
// amends the newest version and not the one that is served.
func (d *deployment) update(ctx context.Context, existing *client.Program, wanted state) ([]string, error) {
	served := stateOf(existing)
	changed := served.difference(wanted)
	newCode := existing.Active().CodeHash != d.code.Hash()
	switch {
	case !newCode && len(changed) == 0:
		return nil, nil
	case newCode && len(changed) == 0 && existing.CodeRef != "" && existing.Latest():
		_, err := d.store(ctx, existing.CodeRef)
		return []string{"code"}, err
	case newCode:
		changed = append([]string{"code"}, changed...)
	}
	settings, err := d.client.Settings(ctx, existing)
	if err != nil {
		return nil, err
	}
	if settings == nil {
		settings = newSettings()
	}
	_, err = d.publish(ctx, settings, wanted, existing.ItemHash)
	return changed, err
}

// newSettings is the content of a new program's PROGRAM message, as far as no flag says it.
func newSettings() *network.Program {
	return &network.Program{
		Type:        network.ProgramKind,
		AllowAmend:  true,
		On:          network.On{HTTP: true},
		Environment: network.Environment{Internet: true, AlephAPI: true},
		Resources:   network.Resources{VCPUs: 1},
		Volumes:     []json.RawMessage{},
		Code:        network.Code{UseLatest: true},
	}
}

// publish publishes the code and a program that runs it, as a new version of the program replaces if that is not empty,
// and gives the PROGRAM's item hash. What the settings have beside what is wanted stays, as what else calls the program or how it
// is paid. The code does not stay if the program is rejected.
func (d *deployment) publish(ctx context.Context, settings *network.Program, wanted state, replaces string) (string, error) {
	ref, err := d.store(ctx, "")
	if err != nil {
		return "", err
	}
	id, err := d.program(ctx, settings, wanted, ref, replaces)
	if rejected := (*network.Rejection)(nil); errors.As(err, &rejected) {
		_ = forget(ctx, d.client, d.key, ref) // why it was rejected matters more
	}
	return id, err
}

// store publishes the code, as new code of the STORE ref if that is not empty, and gives the STORE's item hash.
func (d *deployment) store(ctx context.Context, ref string) (string, error) {
	what := "uploading the code"
	if ref != "" {
		what = "uploading and building"
	}
	defer d.progress(what)()
	message, err := network.Sign(d.key, network.TypeStore, network.Store{
		Address: network.Address(d.key), ItemType: network.ItemStorage, ItemHash: d.code.Hash(),
		Time: network.UnixSeconds(time.Now()), Ref: ref,
	}, network.Options{})
	if err != nil {
		return "", err
	}
	return message.ItemHash, d.client.Upload(ctx, message, d.code.Name, d.code.Bytes)
}

// program publishes the PROGRAM that runs the code of a STORE and gives its item hash.
func (d *deployment) program(ctx context.Context, settings *network.Program, wanted state, codeRef, replaces string) (string, error) {
	defer d.progress("building the program")()
	content := *settings
	content.Address, content.Time, content.Replaces = network.Address(d.key), network.UnixSeconds(time.Now()), replaces
	content.Metadata = maps.Clone(settings.Metadata)
	if content.Metadata == nil {
		content.Metadata = map[string]any{}
	}
	content.Metadata["name"] = wanted.name
	delete(content.Metadata, "description")
	if wanted.description != "" {
		content.Metadata["description"] = wanted.description
	}
	if err := declare(&content, wanted.triggers); err != nil {
		return "", err
	}
	content.Environment.Internet = !wanted.noInternet
	content.Resources.Memory, content.Resources.Seconds = wanted.memory, wanted.timeout
	if content.Runtime.Ref != wanted.runtime {
		content.Runtime = network.Runtime{Ref: wanted.runtime, UseLatest: true, Comment: wanted.runtime}
	}
	if content.Variables = wanted.variables; content.Variables == nil {
		content.Variables = map[string]string{}
	}
	content.Code.Encoding, content.Code.Entrypoint, content.Code.Ref = wanted.encoding, wanted.entrypoint, codeRef
	message, err := network.Sign(d.key, network.TypeProgram, content, network.Options{})
	if err != nil {
		return "", err
	}
	return message.ItemHash, d.client.Publish(ctx, message)
}

// parseVariables reads --env K=V flags. An empty one stands for none.
func parseVariables(env []string) (map[string]string, error) {
	variables := make(map[string]string, len(env))
	for _, pair := range env {
		if pair == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("--env takes K=V, not %q", pair)
		}
		variables[name] = value
	}
	return variables, nil
}
