package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// install puts the packages that are asked for into a folder, all of them Python alone. In work is room for files.
//
// They are resolved twice: first as for Linux, which says what the user would get there, then among wheels without native
// code. Between the two, packages that can do without their native code lose it; where a package cannot, an older version of
// it or of what asks for it may be Python alone, and is said to be taken. What has no such version is refused by name.
func (r *requirements) install(ctx context.Context, t target, work, folder string, reporter Reporter) error {
	tool, err := findResolver(ctx, t, r.folder)
	if err != nil {
		return err
	}
	end := reporter.Progress("fetching packages")
	defer end()
	chosen, err := tool.choose(ctx, r.file, work)
	if err != nil {
		return r.explain(err)
	}
	links, constraints := filepath.Join(work, "wheels"), filepath.Join(work, "constraints.txt")
	if err := os.Mkdir(links, 0o700); err != nil {
		return err
	}
	var native, replaced []choice
	var limits []string
	for _, c := range chosen {
		switch {
		case c.pure:
		case optional[c.name] != "":
			replaced = append(replaced, c)
		default:
			native = append(native, c)
			if limit := substitutes[c.name].constraint; limit != "" {
				limits = append(limits, limit)
			}
		}
	}
	if len(replaced) > 0 {
		if err := tool.strip(ctx, replaced, filepath.Join(work, "stripped"), links); err != nil {
			return r.explain(err)
		}
	}
	target := filepath.Join(work, "target")
	args := append([]string{"-r", r.file, "--find-links", links}, tool.forAnywhere()...)
	if len(limits) > 0 {
		if err := os.WriteFile(constraints, []byte(strings.Join(limits, "\n")), 0o600); err != nil {
			return err
		}
		args = append(args, "-c", constraints)
	}
	err = tool.install(ctx, target, args...)
	if err != nil {
		return r.refuse(err, native)
	}
	return r.keep(target, folder, chosen, func(text string) { end(); reporter.Note(text) })
}

// strip makes wheels without native code of packages that can do without.
func (r *resolver) strip(ctx context.Context, chosen []choice, folder, links string) error {
	args := append([]string{"--no-deps"}, r.forLinux()...)
	for _, c := range chosen {
		args = append(args, c.name+"=="+c.version)
	}
	if err := r.install(ctx, folder, args...); err != nil {
		return err
	}
	all, err := installed(folder)
	if err != nil {
		return err
	}
	for _, d := range all.distributions() {
		record, err := os.ReadFile(filepath.Join(folder, d.info(), "RECORD"))
		if err != nil {
			return err
		}
		if err := pureWheel(all.recorded(record), d, links); err != nil {
			return err
		}
	}
	return nil
}

// keep writes what was installed into the program's packages, and tells of the versions that are older than on Linux.
func (r *requirements) keep(target, folder string, chosen []choice, note func(string)) error {
	all, err := installed(target)
	if err != nil {
		return err
	}
	there := all.distributions()
	for name, content := range all {
		if path.Base(name) == "WHEEL" && !runsAnywhere(string(content)) {
			return r.refusal([]choice{{name: normalise(path.Dir(name))}})
		}
	}
	var older []string
	for _, c := range chosen {
		if d, ok := there[c.name]; ok && d.version != c.version {
			older = append(older, fmt.Sprintf("%s %s instead of %s", c.name, d.version, c.version))
		}
	}
	if len(older) > 0 {
		slices.Sort(older)
		note("native code does not run here: " + strings.Join(older, ", "))
	}
	return all.write(folder)
}

// explain is the error of resolving as for Linux.
func (r *requirements) explain(err error) error {
	if failed := (*resolveError)(nil); errors.As(err, &failed) {
		return failed.explain(r.from)
	}
	return err
}

// refuse is the error of resolving among wheels without native code: it names the packages with native code that stood in the
// way, as far as uv or pip names them.
func (r *requirements) refuse(err error, native []choice) error {
	failed := (*resolveError)(nil)
	if !errors.As(err, &failed) || len(native) == 0 {
		return r.explain(err)
	}
	said := strings.ReplaceAll(strings.ToLower(failed.said), "_", "-")
	named := slices.DeleteFunc(slices.Clone(native), func(c choice) bool {
		asking, _, _ := strings.Cut(substitutes[c.name].constraint, "<")
		return !mentions(said, c.name) && (asking == "" || !mentions(said, asking))
	})
	if len(named) == 0 {
		named = native
	}
	return r.refusal(named)
}

// mentions says whether a text has a package's name, whole.
func mentions(text, name string) bool {
	for i := strings.Index(text, name); i >= 0; {
		end := i + len(name)
		if (i == 0 || !isNameByte(text[i-1])) && (end == len(text) || !isNameByte(text[end])) {
			return true
		}
		next := strings.Index(text[end:], name)
		if next < 0 {
			return false
		}
		i = end + next
	}
	return false
}

func isNameByte(c byte) bool { return c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' }

// refusal is the error of packages with native code.
func (r *requirements) refusal(native []choice) error {
	var names, hints []string
	for _, c := range native {
		names = append(names, strings.TrimSpace(c.name+" "+c.version))
		hints = append(hints, c.name+": "+hintFor(c.name))
	}
	verb := "is"
	if len(names) > 1 {
		verb = "are"
	}
	return &Error{fmt.Sprintf("%s: %s %s native code, which does not run here", r.from, strings.Join(names, ", "), verb), strings.Join(hints, "\n")}
}
