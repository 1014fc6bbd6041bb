package evidence

// Verification: recomputing everything that a manifest claims, and naming what
// does not hold.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"triagebot/triage"
)

// Change is what happened to a part of a bundle.
type Change string

// The changes that Verify tells apart.
const (
	Changed   Change = "changed"   // a file's content is another
	Missing   Change = "missing"   // a file is gone
	Added     Change = "added"     // a file that the manifest does not list and no triagebot names so
	Edited    Change = "edited"    // a manifest entry, or the manifest's own fields
	Reordered Change = "reordered" // a manifest entry stands in another place
	Cut       Change = "cut"       // manifest entries are gone
	Rewritten Change = "rewritten" // the whole fits together but is not what was sealed
)

// Problem is one thing that does not hold.
type Problem struct {
	Change Change
	Name   string // the file, or manifest.json
	Detail string // in words
}

func (p Problem) String() string { return fmt.Sprintf("%s: %s: %s", p.Change, p.Name, p.Detail) }

// Report is what Verify found.
type Report struct {
	Bundle      string
	Incident    int64
	Sealed      bool
	Entries     int    // evidence entries in the manifest
	Redactions  int    // secrets masked, as the entries say
	Head        string // recomputed
	HeadChecked bool   // against one that was given
	Problems    []Problem
	// Unlisted are files that the manifest does not list although they are
	// named by their content as triagebot names artifacts, or are its temporary
	// files: left by an attempt that was interrupted, or staged since the
	// manifest was written. Nothing vouches for them, and they change nothing
	// that the manifest vouches for.
	Unlisted []string
}

// Whole says whether everything that the manifest claims holds.
func (r Report) Whole() bool { return len(r.Problems) == 0 }

// String is the summary for people.
func (r Report) String() string {
	var b strings.Builder
	b.WriteString(r.Verdict())
	for _, name := range r.Unlisted {
		fmt.Fprintf(&b, "  note: %s is not in the manifest: nothing vouches for it (left by an interrupted attempt, or newer than the manifest)\n", name)
	}
	switch {
	case r.Head == "":
	case r.HeadChecked && r.Whole():
		fmt.Fprintf(&b, "  head %s, as expected\n", r.Head)
	case r.Whole():
		fmt.Fprintf(&b, "  head %s; compare it with the one posted at sealing (--head): only that shows a bundle rewritten as a whole\n", r.Head)
	}
	return b.String()
}

// Verdict is one line, and one more for each problem.
func (r Report) Verdict() string {
	var b strings.Builder
	state := "not sealed, more may be added"
	if r.Sealed {
		state = "sealed"
	}
	if r.Whole() {
		fmt.Fprintf(&b, "WHOLE: %s: incident %d, %d evidence files, %d secrets masked, %s\n", r.Bundle, r.Incident, r.Entries, r.Redactions, state)
	} else {
		fmt.Fprintf(&b, "CHANGED: %s: %d problems\n", r.Bundle, len(r.Problems))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "  %s\n", p)
	}
	return b.String()
}

// Verify recomputes all that the bundle's manifest claims. bundle is its
// folder, or a bucket URL with the folder as prefix. head, when not "", is the
// head that the manifest must have, as posted when the bundle was sealed. The
// error says that the bundle could not be read or is of a format that this
// version does not know; what is wrong with a readable one is in the report.
func Verify(ctx context.Context, bundle, head string) (Report, error) {
	r, err := verify(ctx, bundle, strings.ToLower(strings.TrimSpace(head)))
	if err != nil {
		return Report{Bundle: bundle}, fmt.Errorf("verify %s: %w", bundleName(bundle), err)
	}
	return r, nil
}

// bundleName is the bundle without a URL's query, which may hold credentials.
func bundleName(bundle string) string {
	name, _, _ := strings.Cut(bundle, "?")
	return name
}

func verify(ctx context.Context, where, head string) (r Report, err error) {
	b, err := openBundle(ctx, where)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	return verifyFiles(ctx, b, bundleName(where), head)
}

// Verify is Verify of an incident's bundle in the store.
func (s *Store) Verify(ctx context.Context, incidentID int64, head string) (Report, error) {
	folder := Folder(incidentID)
	r, err := verifyFiles(ctx, &bucketBundle{bucket: s.bucket, prefix: folder + "/", shared: true}, folder, head)
	if err != nil {
		return Report{Bundle: folder}, fmt.Errorf("verify %s: %w", folder, err)
	}
	return r, nil
}

// ErrNoBundle says that there are files, none of which is a bundle's.
var ErrNoBundle = errors.New("no file in it is a bundle's; give a bundle's own folder, such as incident-000042, or that of all bundles")

func verifyFiles(ctx context.Context, b bundleReader, name, head string) (r Report, err error) {
	names, err := b.list(ctx)
	if err != nil {
		return r, err
	}
	if len(names) == 0 {
		return r, errors.New("there is no file in it; give a bundle's own folder, such as incident-000042")
	}
	if !slices.ContainsFunc(names, isOfBundle) {
		return r, ErrNoBundle
	}
	v := &verifier{bundle: b, report: Report{Bundle: name, HeadChecked: head != ""}, listed: make(map[string]bool)}
	m, err := v.manifest(ctx)
	if err != nil {
		return r, err
	}
	if m == nil { // then nothing can be said of the rest
		return v.report, nil
	}
	v.head(m, head)
	v.chain(m)
	for _, e := range m.Evidence {
		if err := v.file(ctx, e.Name, e.Size, e.SHA256); err != nil {
			return r, err
		}
	}
	for _, d := range m.Derived {
		if err := v.file(ctx, d.Name, d.Size, d.SHA256); err != nil {
			return r, err
		}
	}
	for _, name := range []string{TimelineName, ReportName} {
		if !slices.ContainsFunc(m.Derived, func(d DerivedFile) bool { return d.Name == name }) {
			v.problem(Edited, ManifestName, "it no longer lists %s", name)
		}
	}
	if err := v.unlisted(ctx, names); err != nil {
		return r, err
	}
	return v.report, nil
}

// isOfBundle says whether a file is named as one of a bundle: what has one is a
// bundle, though its manifest may be gone.
func isOfBundle(name string) bool {
	return name == ManifestName || name == ReportName || name == TimelineName || shortHash(name) != ""
}

type verifier struct {
	bundle bundleReader
	report Report
	listed map[string]bool // names that the manifest lists
}

func (v *verifier) problem(c Change, name, format string, args ...any) {
	v.report.Problems = append(v.report.Problems, Problem{c, name, fmt.Sprintf(format, args...)})
}

// manifest reads the manifest; nil when it is gone or broken, which is then
// reported.
func (v *verifier) manifest(ctx context.Context) (*Manifest, error) {
	f, err := v.bundle.open(ctx, ManifestName)
	if errors.Is(err, ErrNotFound) {
		v.problem(Missing, ManifestName, "without it nothing can be proved; the end of an incident's first run writes it")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", ManifestName, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", ManifestName, err)
	}
	if len(b) > maxManifest {
		return nil, fmt.Errorf("read %s: it is larger than %d bytes", ManifestName, maxManifest)
	}
	m, err := decodeManifest(b)
	if errors.Is(err, errForeign) {
		return nil, fmt.Errorf("%s: %w", ManifestName, err)
	}
	if err != nil {
		v.problem(Edited, ManifestName, "it %v", err)
		return nil, nil
	}
	canonical, err := m.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(b, canonical) {
		v.problem(Edited, ManifestName, "its text is not what triagebot writes for what it says")
	}
	v.report.Incident = m.Incident.ID
	v.report.Sealed = m.Sealed
	v.report.Entries = len(m.Evidence)
	for _, e := range m.Evidence {
		v.report.Redactions += e.Redactions
	}
	return m, nil
}

// head checks the hash over the manifest, against itself and the expected one.
func (v *verifier) head(m *Manifest, want string) {
	copied := *m
	if err := copied.seal(); err != nil {
		v.problem(Edited, ManifestName, "%v", err)
		return
	}
	v.report.Head = copied.Head
	if copied.Head != m.Head {
		v.problem(Edited, ManifestName, "its head is %s, but what it says hashes to %s", quoted(m.Head), copied.Head)
	}
	if want != "" && copied.Head != want {
		v.problem(Rewritten, ManifestName, "its head is %s, but %s was expected: this is not the bundle that was sealed then", copied.Head, quoted(want))
	}
}

// chain checks that each entry is what it was and stands where it stood.
func (v *verifier) chain(m *Manifest) {
	byHash := make(map[string]bool, len(m.Evidence))
	for _, e := range m.Evidence {
		byHash[e.Hash] = true
	}
	var last triage.Evidence
	for i, e := range m.Evidence {
		entry := fmt.Sprintf("entry %d", i+1)
		if got := entryHash(e); got != e.Hash {
			v.problem(Edited, quoted(e.Name), "%s of the manifest says something else than when it was chained (sequence number, size, hash, source, time or redactions)", entry)
		}
		if e.IncidentID != m.Incident.ID {
			v.problem(Edited, quoted(e.Name), "%s belongs to incident %d, the bundle to %d", entry, e.IncidentID, m.Incident.ID)
		}
		switch {
		case e.Prev == last.Hash && e.Seq == last.Seq+1:
		case e.Prev != "" && !byHash[e.Prev]:
			v.problem(Cut, quoted(e.Name), "%s follows an entry (hash %s) that is not in the manifest: one or more before it were cut out or edited", entry, quoted(e.Prev))
		default:
			v.problem(Reordered, quoted(e.Name), "%s has the sequence number %d and does not follow the entry before it", entry, e.Seq)
		}
		last = e
	}
	if m.Chain != last.Hash {
		v.problem(Cut, ManifestName, "the chain should end in %s but ends in %s: entries were cut off or added at the end", quoted(m.Chain), quoted(last.Hash))
	}
}

// file checks one listed file.
func (v *verifier) file(ctx context.Context, name string, size int64, sum string) error {
	if err := ValidateName(name); err != nil {
		v.problem(Edited, ManifestName, "it lists a file that cannot be: %v", err)
		return nil
	}
	if v.listed[name] {
		v.problem(Edited, ManifestName, "it lists %s twice", name)
		return nil
	}
	v.listed[name] = true
	gotSize, gotSum, err := v.hash(ctx, name)
	switch {
	case errors.Is(err, ErrNotFound):
		v.problem(Missing, name, "the manifest lists it")
	case errors.Is(err, errNoFile):
		v.problem(Changed, name, "%v", errNoFile)
	case err != nil:
		return err
	case gotSum != sum:
		v.problem(Changed, name, "its content is another: %d bytes with SHA-256 %s, the manifest says %d with %s", gotSize, gotSum, size, quoted(sum))
	case gotSize != size:
		v.problem(Edited, ManifestName, "%s has %d bytes, the manifest says %d", name, gotSize, size)
	}
	return nil
}

func (v *verifier) hash(ctx context.Context, name string) (size int64, sum string, err error) {
	f, err := v.bundle.open(ctx, name)
	if err != nil {
		return 0, "", fmt.Errorf("open %s: %w", name, err)
	}
	size, sum, err = hashReader(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, "", fmt.Errorf("read %s: %w", name, err)
	}
	return size, sum, nil
}

// tempName is what fileblob calls a file that it has not finished writing.
var tempName = regexp.MustCompile(`\.[0-9a-f]{8,16}\.tmp$`)

// unlisted tells files that an interrupted attempt leaves from files that
// somebody added.
func (v *verifier) unlisted(ctx context.Context, names []string) error {
	for _, name := range names {
		if name == ManifestName || v.listed[name] {
			continue
		}
		if tempName.MatchString(name) {
			v.report.Unlisted = append(v.report.Unlisted, name)
			continue
		}
		if short := shortHash(name); short != "" && ValidateName(name) == nil && path.Clean(name) == name {
			_, sum, err := v.hash(ctx, name)
			if err != nil && !errors.Is(err, errNoFile) {
				return err
			}
			if err == nil && strings.HasPrefix(sum, short) {
				v.report.Unlisted = append(v.report.Unlisted, name)
				continue
			}
		}
		v.problem(Added, quoted(name), "the manifest does not list it, and it is not named as triagebot names artifacts")
	}
	return nil
}

// quoted is text from the bundle, made safe to print; plain names stay plain.
func quoted(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most] + "…"
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !isNameRune(r) && r != '/' }) < 0 {
		return s
	}
	return fmt.Sprintf("%q", s)
}
