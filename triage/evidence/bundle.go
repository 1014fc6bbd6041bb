package evidence

// Reading a bundle for verification, from a folder or from a bucket.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"gocloud.dev/blob"
)

// bundleReader reads the files of one bundle.
type bundleReader interface {
	// list returns the names of all files, sorted.
	list(ctx context.Context) ([]string, error)
	open(ctx context.Context, name string) (io.ReadCloser, error)
	close() error
}

// openBundle opens the bundle at a folder or, where there is "://" in it, a
// bucket URL: s3://bucket?region=…&prefix=incident-000042/.
func openBundle(ctx context.Context, where string) (bundleReader, error) {
	if strings.Contains(where, "://") {
		bucket, err := openURL(ctx, where)
		if err != nil {
			return nil, err
		}
		return &bucketBundle{bucket: bucket}, nil
	}
	root, err := os.OpenRoot(where)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	return &dirBundle{root}, nil
}

// errNoFile is what stands where a file should but is a link, a folder or a pipe.
var errNoFile = errors.New("it is no regular file")

// dirBundle is a bundle in a folder. It does not go through fileblob, whose
// listing hides files (*.attrs) and whose reading follows links out of the
// folder.
type dirBundle struct{ root *os.Root }

func (d *dirBundle) list(ctx context.Context) ([]string, error) {
	var names []string
	err := fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !e.IsDir() {
			names = append(names, name)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list bundle: %w", err)
	}
	return names, nil
}

func (d *dirBundle) open(_ context.Context, name string) (io.ReadCloser, error) {
	info, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotFound
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNoFile
	}
	return d.root.Open(name)
}

func (d *dirBundle) close() error { return d.root.Close() }

// bucketBundle is a bundle in a bucket, under a prefix.
type bucketBundle struct {
	bucket *blob.Bucket
	prefix string // "" where the bucket is narrowed to the bundle
	shared bool   // with others, so that it stays open
}

func (b *bucketBundle) list(ctx context.Context) ([]string, error) {
	var names []string
	it := b.bucket.List(&blob.ListOptions{Prefix: b.prefix})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list bundle: %w", err)
		}
		names = append(names, strings.TrimPrefix(o.Key, b.prefix))
	}
}

func (b *bucketBundle) open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := b.bucket.NewReader(ctx, b.prefix+name, nil)
	if isNotFound(err) {
		return nil, ErrNotFound
	}
	return r, err
}

func (b *bucketBundle) close() error {
	if b.shared {
		return nil
	}
	return b.bucket.Close()
}
