package evidence

// Making files durable. fileblob writes a temporary file and renames it but
// never syncs, so a row could outlive the file that it refers to.

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// syncPath flushes a file's content, or a folder's list of names, to disk.
func syncPath(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		_ = f.Close() // the sync's error says more
		return err
	}
	return f.Close()
}

// syncUp syncs the file at root/rel, then each folder above it up to and with
// root, so that the file and the path to it survive a power failure. Folders
// are synced every time: whether one was made by an attempt that died before
// its sync cannot be seen. A clean folder's sync costs next to nothing.
func syncUp(root, rel string, sync func(string) error) error {
	for {
		if err := sync(filepath.Join(root, filepath.FromSlash(rel))); err != nil {
			return fmt.Errorf("sync evidence to disk: %w", err)
		}
		if rel == "" {
			return nil
		}
		rel = rel[:max(strings.LastIndexByte(rel, '/'), 0)]
	}
}
