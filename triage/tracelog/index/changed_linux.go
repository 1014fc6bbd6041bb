// When a file was last changed, by its inode: Linux alone tells it in this way.

package index

import (
	"os"
	"syscall"
	"time"
)

// changeTime is when the file or its inode was last changed.
func changeTime(info os.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctim.Unix())
	}
	return info.ModTime()
}
