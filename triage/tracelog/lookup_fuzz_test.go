package tracelog

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzFind holds a lookup to what parsing every line gives, for any bytes as a
// log and any id. Package index has fuzz targets of its own.
func FuzzFind(f *testing.F) {
	for seed := range uint64(8) {
		n := newNasty(seed)
		f.Add(n.log(20), n.id())
	}
	f.Add([]byte(`{"req_id":"\u0061"}`), "a")
	f.Add([]byte("{\"req_id\":\"a\"}\r\n\n{\"req_id\":\"a\"}"), "a")
	path := filepath.Join(f.TempDir(), "log")
	source := access(path)
	f.Fuzz(func(t *testing.T, log []byte, id string) {
		if id == "" || len(log) > 1<<16 {
			t.Skip("out of the bounds that this test has")
		}
		write(t, path, log)
		if packed, err := packedOf(path); err != nil || packed != unpacked {
			t.Skip("it begins like a compressed file")
		}
		got := offsetsIn(find(t, NewFiles(FilesOptions{Sources: []Source{source}, Workers: 1}), Query{ID: id}), path)
		if want := naiveFind(&source, log, id); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func packedOf(path string) (packing, error) {
	f, err := os.Open(path)
	if err != nil {
		return unpacked, err
	}
	defer f.Close()
	return packingOf(f)
}
