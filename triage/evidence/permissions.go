package evidence

// Who may read bundles: triagebot's user and group, for evidence says more of a
// service than its channel does.

import (
	"io/fs"
	"os"
)

const (
	fileMode = 0o640
	dirMode  = 0o750
	// sharedDirMode is what a folder that was there may have at the most:
	// replicas that run as several users share one by its group.
	sharedDirMode = 0o770
)

// narrow takes the permissions beyond most from a file or folder, and leaves
// those that it does not have.
func narrow(name string, most fs.FileMode) error {
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm()&^most == 0 {
		return err
	}
	return os.Chmod(name, info.Mode()&^(fs.ModePerm&^most))
}
