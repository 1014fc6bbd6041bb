package tracelog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// following is a Follower whose looks the test takes, in place of time.
type following struct {
	*Follower
	t *testing.T
}

// follow makes one for the logs of a pattern.
func follow(t *testing.T, pattern, id string) *following {
	t.Helper()
	h := NewFiles(FilesOptions{Sources: []Source{access(pattern)}})
	f, err := h.Follower(t.Context(), id)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	found := find(t, h, Query{ID: id})
	for i := range found.Records {
		f.Know(&found.Records[i])
	}
	return &following{f, t}
}

// tells wants the next look to tell of these lines, together, and of none else.
func (f *following) tells(lines ...string) {
	f.t.Helper()
	var got []string
	for _, r := range f.news(f.t.Context()) {
		got = append(got, string(r.Raw))
	}
	if !slices.Equal(got, lines) {
		f.t.Fatalf("told of %q, want %q", got, lines)
	}
}

// tellsNothing wants so many looks to tell of no line.
func (f *following) tellsNothing(looks int) {
	f.t.Helper()
	for range looks {
		f.tells()
	}
}

func lineAt(second, id string) string {
	return `{"ts":"2026-01-02T03:04:` + second + `Z","req_id":"` + id + `"}`
}

func TestAppendedLinesAreToldOf(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, a, []byte(lineAt("01", "req_1")+"\n"))
	write(t, b, nil)
	f := follow(t, filepath.Join(dir, "*"), "req_1")

	appendTo(t, a, []byte(lineAt("03", "req_1")+"\n"+lineAt("02", "req_12")+"\n"))
	appendTo(t, b, []byte(lineAt("02", "req_1")+"\n"))
	f.tells(lineAt("02", "req_1"), lineAt("03", "req_1"))

	// A line is told of once it has ended.
	half := lineAt("04", "req_1")
	appendTo(t, a, []byte(half[:30]))
	appendTo(t, b, []byte(lineAt("05", "req_1")+"\n"))
	f.tells(lineAt("05", "req_1"))
	appendTo(t, a, []byte(half[30:]+"\n"))
	f.tells(half)
}

func TestFollowingGoesOnWhenALogIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ndjson")
	write(t, path, []byte(lineAt("01", "req_1")+"\n"+lineAt("01", "req_2")+"\n"))
	f := follow(t, path+"*", "req_1")

	must(t, os.Rename(path, path+".1"))
	appendTo(t, path+".1", []byte(lineAt("02", "req_1")+"\n")) // by who has it open still
	write(t, path, []byte(lineAt("03", "req_1")+"\n"))
	f.tells(lineAt("02", "req_1"), lineAt("03", "req_1"))

	// As copytruncate does it.
	must(t, os.Truncate(path, 0))
	appendTo(t, path, []byte(lineAt("4", "req_1")+"\n"))
	f.tells(lineAt("4", "req_1"))
}

// The path alone, without a pattern that matches what is rotated: whoever has the
// log open goes on writing to it until told of the rotation.
func TestFollowingAPathMissesNothingOfTheLogThatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ndjson")
	write(t, path, []byte(lineAt("01", "req_1")+"\n"))
	f := follow(t, path, "req_1")

	must(t, os.Rename(path, path+".1"))
	appendTo(t, path+".1", []byte(lineAt("02", "req_1")+"\n"))
	f.tells(lineAt("02", "req_1"))
	f.tellsNothing(2 * quietLooks) // nothing else is there yet
	appendTo(t, path+".1", []byte(lineAt("03", "req_1")+"\n"))
	f.tells(lineAt("03", "req_1"))

	write(t, path, []byte(lineAt("05", "req_1")+"\n"))
	appendTo(t, path+".1", []byte(lineAt("04", "req_1")+"\n"))
	f.tells(lineAt("04", "req_1"), lineAt("05", "req_1"))

	f.tellsNothing(quietLooks + 1)
	appendTo(t, path+".1", []byte(lineAt("06", "req_1")+"\n")) // long after: it is let go
	appendTo(t, path, []byte(lineAt("07", "req_1")+"\n"))
	f.tells(lineAt("07", "req_1"))
}

// A file system gives a removed file's inode to the next one that is made.
func TestALogInThePlaceOfARemovedOneIsReadFromItsBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ndjson")
	write(t, path, []byte(lineAt("01", "req_2")+"\n"))
	f := follow(t, path, "req_1")

	must(t, os.Remove(path))
	write(t, path, []byte(lineAt("02", "req_1")+"\n"+lineAt("03", "req_1")+"\n"))
	f.tells(lineAt("02", "req_1"), lineAt("03", "req_1"))
}

// A look that falls into a rotation may see a file under neither of its names.
func TestALogThatIsNotThereForAMomentIsNotToldOfAgain(t *testing.T) {
	dir := t.TempDir()
	a, b, between := filepath.Join(dir, "a.ndjson"), filepath.Join(dir, "b.ndjson"), filepath.Join(t.TempDir(), "a")
	write(t, a, []byte(lineAt("01", "req_1")+"\n"))
	write(t, b, nil)
	f := follow(t, filepath.Join(dir, "*"), "req_1")

	must(t, os.Rename(a, between))
	appendTo(t, b, []byte(lineAt("02", "req_1")+"\n"))
	f.tells(lineAt("02", "req_1"))
	must(t, os.Rename(between, a+".1"))
	appendTo(t, a+".1", []byte(lineAt("03", "req_1")+"\n"))
	f.tells(lineAt("03", "req_1"))
}

// What is appended between the Follower's making and the end of the lookup is
// neither missed nor shown twice; then it looks again and again.
func TestNothingIsMissedBetweenLookupAndFollowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a.ndjson")
		write(t, path, []byte(lineAt("01", "req_1")+"\n"))
		h := NewFiles(FilesOptions{Sources: []Source{access(path)}})
		f, err := h.Follower(t.Context(), "req_1")
		must(t, err)
		appendTo(t, path, []byte(lineAt("02", "req_1")+"\n"))
		found := find(t, h, Query{ID: "req_1"})
		if len(found.Records) != 2 {
			t.Fatalf("%d records are found", len(found.Records))
		}
		f.Know(&found.Records[0])
		f.Know(&found.Records[1])
		appendTo(t, path, []byte(lineAt("03", "req_1")+"\n"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		next := []string{lineAt("03", "req_1"), lineAt("04", "req_1")}
		must(t, f.Follow(ctx, func(records []Record) {
			if len(records) != 1 || string(records[0].Raw) != next[0] {
				t.Errorf("told of %d records: %s, want %s", len(records), records[0].Raw, next[0])
			}
			if next = next[1:]; len(next) == 0 {
				cancel()
				return
			}
			appendTo(t, path, []byte(next[0]+"\n"))
		}))
		must(t, f.Close())
	})
}

func TestFollowingNeedsAnID(t *testing.T) {
	if _, err := NewFiles(FilesOptions{}).Follower(t.Context(), ""); err == nil {
		t.Error("no error")
	}
}

// However many come at once, each record has its own line and its own time.
func TestAppendedLinesForAPerson(t *testing.T) {
	source := testSource("proto")
	var records []Record
	add := func(source *Source, line string) {
		r, _, ok := source.Read([]byte(line), "req_1")
		if !ok {
			t.Fatal(line)
		}
		records = append(records, r)
	}
	want := ""
	for i := range 9 {
		add(source, fmt.Sprintf(`{"ts":"2026-01-02T03:04:0%d.5Z","req_id":"req_1","direction":"recv","method":"item/chunk","seq":%[1]d}`, i))
		want += fmt.Sprintf("03:04:0%d.500  proto  recv item/chunk #%[1]d\n", i)
	}
	add(testSource("access"), `{"ts":"2026-01-02T03:04:10Z","req_id":"req_1","status":502,"latency_ms":3000,"error":{"type":"EOF","message":"gone"}}`)
	add(testSource("access"), `{"ts":"2026-01-02T03:04:11Z","req_id":"req_2","retry_of":"req_1","status":200,"latency_ms":30}`)
	add(testSource("access"), `{"req_id":"req_1","error":"\u001b[31mred"}`)
	want += "! 03:04:10.000  access  3 s  502  EOF: gone\n03:04:11.000  access  [req_2]  30 ms  200\n! no time  access  \\x1b[31mred\n"
	var b strings.Builder
	must(t, WriteAppended(&b, "req_1", records, true))
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
