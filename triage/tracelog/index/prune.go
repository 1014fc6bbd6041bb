// Dropping the indexes of logs that are gone.

package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Live is a log that is still there.
type Live struct {
	Info os.FileInfo // as os.File.Stat gives it
	Spec Spec
}

// Prune removes the indexes of all logs but the given ones, those of other
// specs among them, and says how many there were. It touches nothing in the
// directory that is no index.
func (x *Index) Prune(live []Live) (removed int, err error) {
	wanted := map[string]bool{}
	for _, one := range live {
		key, err := newLogKey(one.Info, one.Spec.digest())
		if err != nil {
			return 0, err
		}
		wanted[key.String()] = true
	}
	err = x.exclusively(func() error {
		entries, err := os.ReadDir(x.dir)
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
		var errs []error
		for _, entry := range entries {
			if !entry.IsDir() || !isKey(entry.Name()) || wanted[entry.Name()] {
				continue
			}
			if err := os.RemoveAll(filepath.Join(x.dir, entry.Name())); err != nil {
				errs = append(errs, fmt.Errorf("index: %w", err))
				continue
			}
			removed++
		}
		x.forget(wanted)
		return errors.Join(errs...)
	})
	return removed, err
}

// forget closes the files of logs that are not wanted.
func (x *Index) forget(wanted map[string]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, l := range x.logs {
		if !wanted[key.String()] {
			l.close()
			delete(x.logs, key)
		}
	}
}
