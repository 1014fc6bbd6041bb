package index

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// segmentFiles are the paths of all index files.
func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// replace puts a file in the place of another, as a copy from elsewhere does,
// or writes over it.
func replace(t testing.TB, path string, contents []byte, inPlace bool) {
	t.Helper()
	if !inPlace {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, contents, 0o600); err != nil {
		t.Fatal(err)
	}
}

// indexed makes a log of one segment and its index, and gives the segment's
// file.
func indexed(t testing.TB) (x *Index, log *os.File, path string) {
	t.Helper()
	dir := t.TempDir()
	x, log = open(t, dir, Options{}), newLog(t)
	g := generator{rand.New(rand.NewPCG(11, 11))}
	write(t, log, g.text(40, someIDs()))
	update(t, x, log, testSpec)
	files := segmentFiles(t, dir)
	if len(files) != 1 {
		t.Fatalf("files: %v", files)
	}
	return x, log, files[0]
}

func TestNoByteOfAnIndexFileCanBeWrongUnnoticed(t *testing.T) {
	x, log, path := indexed(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := contents(t, log)
	want := naiveFind(text, &testSpec, "req_1")
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= byte(1 + i%255)
		replace(t, path, bad, i%2 == 0)
		if got := confirmed(t, x, log, testSpec, "req_1"); !slices.Equal(got, want) {
			t.Fatalf("byte %d of %d is wrong, and so is the answer: %v instead of %v", i, len(good), got, want)
		}
		if i%7 > 0 {
			continue
		}
		checkBlocks(t, x, log, testSpec)
		if done := update(t, x, log, testSpec); done.Damaged != 1 || done.Problem == nil || done.To != int64(len(text)) {
			t.Fatalf("byte %d of %d is wrong: the update says %+v", i, len(good), done)
		}
		if made, err := os.ReadFile(path); err != nil || !bytes.Equal(made, good) {
			t.Fatalf("the file made anew differs, error %v", err)
		}
	}
}

func TestIndexFilesThatAreNone(t *testing.T) {
	good := func(t *testing.T, path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := map[string]func(t *testing.T, path string) []byte{
		"empty":                 func(*testing.T, string) []byte { return nil },
		"cut within the header": func(t *testing.T, path string) []byte { return good(t, path)[:headerSize/2] },
		"cut after the header":  func(t *testing.T, path string) []byte { return good(t, path)[:headerSize] },
		"half written":          func(t *testing.T, path string) []byte { b := good(t, path); return b[:len(b)/2] },
		"too long":              func(t *testing.T, path string) []byte { return append(good(t, path), 0) },
		"all zeros":             func(t *testing.T, path string) []byte { return make([]byte, len(good(t, path))) },
		"of another version": func(t *testing.T, path string) []byte {
			b := good(t, path)
			b[7]++
			return b
		},
		"of another log": func(t *testing.T, _ string) []byte {
			dir := t.TempDir()
			x, log := open(t, dir, Options{}), newLog(t)
			write(t, log, []byte(`{"req_id":"req_1"}`+"\n"))
			update(t, x, log, testSpec)
			return good(t, segmentFiles(t, dir)[0])
		},
	}
	for name, make := range tests {
		for _, inPlace := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				x, log, path := indexed(t)
				replace(t, path, make(t, path), inPlace)
				checkAnswers(t, x, log, testSpec, someIDs())
				done := update(t, x, log, testSpec)
				if done.Damaged == 0 && !done.Rewritten {
					t.Errorf("the update does not say so: %+v", done)
				}
				checkAnswers(t, x, log, testSpec, someIDs())
				if hits, err := x.Lookup(t.Context(), log, testSpec, "req_1", done.To); err != nil || len(hits.Scan) > 0 || hits.Damaged > 0 {
					t.Errorf("after the update: %+v, error %v", hits, err)
				}
			})
		}
	}
}

// Without what is known of the log's state nothing says that the segments are
// still its own.
func TestAStateThatIsLostOrDamagedIsMadeAnewWithTheSegments(t *testing.T) {
	for name, spoil := range map[string]func(good []byte) []byte{
		"lost":               func([]byte) []byte { return nil },
		"empty":              func([]byte) []byte { return []byte{} },
		"cut":                func(good []byte) []byte { return good[:stateSize-1] },
		"a byte wrong":       func(good []byte) []byte { good[9] ^= 1; return good },
		"of another version": func(good []byte) []byte { good[7]++; return good },
	} {
		t.Run(name, func(t *testing.T) {
			x, log, segment := indexed(t)
			path := filepath.Join(filepath.Dir(segment), stateName)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			bad := spoil(good)
			lost := bad == nil
			if lost {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, bad, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			x = open(t, x.dir, Options{}) // as after a restart
			size := int64(len(contents(t, log)))
			hits, err := x.Lookup(t.Context(), log, testSpec, "req_1", size)
			if err != nil || !hits.Rewritten || !slices.Equal(hits.Scan, []Range{{0, size}}) || len(hits.Lines) > 0 || lost == (hits.Damaged > 0) {
				t.Errorf("before the update: %+v, error %v", hits, err)
			}
			if done := update(t, x, log, testSpec); done.Bytes != size || !done.Rewritten || lost == (done.Damaged > 0) {
				t.Errorf("the update: %+v", done)
			}
			if hits, err := x.Lookup(t.Context(), log, testSpec, "req_1", size); err != nil || len(hits.Scan) > 0 || hits.Damaged > 0 {
				t.Errorf("after the update: %+v, error %v", hits, err)
			}
		})
	}
}

func TestADamagedSegmentCostsItsStretchAlone(t *testing.T) {
	dir := t.TempDir()
	x, log := open(t, dir, Options{MaxSegment: 1500}), newLog(t)
	g := generator{rand.New(rand.NewPCG(12, 12))}
	write(t, log, g.text(100, someIDs()))
	size := int64(len(contents(t, log)))
	update(t, x, log, testSpec)
	files := segmentFiles(t, dir)
	if len(files) < 3 {
		t.Fatalf("files: %v", files)
	}
	replace(t, files[1], []byte("junk"), false)
	hits, err := x.Lookup(t.Context(), log, testSpec, "req_1", size)
	if err != nil || hits.Damaged != 1 || hits.Problem == nil || len(hits.Scan) != 1 || hits.Scan[0].To-hits.Scan[0].From > size/2 {
		t.Errorf("got %+v, error %v", hits, err)
	}
	checkAnswers(t, x, log, testSpec, someIDs())
	if done := update(t, x, log, testSpec); done.Damaged != 1 || done.Bytes != hits.Scan[0].To-hits.Scan[0].From {
		t.Errorf("the update: %+v", done)
	}
	checkAnswers(t, x, log, testSpec, someIDs())
}

func TestAWriteThatWasCutOffIsCleanedUp(t *testing.T) {
	x, log, path := indexed(t)
	left := filepath.Join(filepath.Dir(path), "123.tmp")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	update(t, x, log, testSpec)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

// FuzzSegment takes any bytes for an index file. With sealed, the header is
// given a checksum that fits, so that what lies behind is reached; the answer
// may then be wrong, but nothing may break.
func FuzzSegment(f *testing.F) {
	x, log, path := indexed(f)
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	want := naiveFind(contents(f, log), &testSpec, "req_1")
	f.Add(good, false)
	f.Add(good, true)
	f.Add(good[:len(good)/2], true)
	f.Add([]byte("tridx001"), false)
	f.Fuzz(func(t *testing.T, file []byte, sealed bool) {
		if sealed && len(file) >= headerSize {
			file = slices.Clone(file)
			sealHeader(file)
		}
		replace(t, path, file, false)
		if sealed {
			if s, err := openSegment(path, testSpec.digest(), true); err == nil {
				_ = s.verify()
				var r room
				_, _ = s.find(hashID([]byte("req_1")), &r, nil)
				s.close()
			}
			return
		}
		if got := confirmed(t, x, log, testSpec, "req_1"); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// sealHeader gives a file's header the checksum that fits.
func sealHeader(file []byte) {
	binary.LittleEndian.PutUint32(file[headerSize-4:], checksum(0, file[:headerSize-4]))
}
