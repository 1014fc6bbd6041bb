package evidence

// Verification of a whole store: every bundle in it, one after the other.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"gocloud.dev/blob"
)

// bundleFolder is what Folder names a bundle.
var bundleFolder = regexp.MustCompile(`^incident-[0-9]{6,}$`)

// ErrNoBundles says that a place has no bundle's folder.
var ErrNoBundles = errors.New("there is no bundle's folder in it, such as incident-000042")

// VerifyStore does what Verify does for each bundle of a store, a folder or a
// bucket URL, in the order of their names. It calls each as a bundle is done,
// with the error of one that could not be read. Its own error says that the
// bundles could not be listed; it is ErrNoBundles where there is none.
func VerifyStore(ctx context.Context, where string, each func(Report, error)) error {
	err := verifyStore(ctx, where, each)
	if err != nil {
		return fmt.Errorf("verify %s: %w", bundleName(where), err)
	}
	return nil
}

func verifyStore(ctx context.Context, where string, each func(Report, error)) error {
	if isBundleFolder(where) {
		return ErrNoBundles // it does not become a store by a bundle that is put into it
	}
	folders, err := bundleFolders(ctx, where)
	if err != nil {
		return err
	}
	if len(folders) == 0 {
		return ErrNoBundles
	}
	for _, folder := range folders {
		if err := ctx.Err(); err != nil {
			return err
		}
		bundle, err := bundleWithin(where, folder)
		if err != nil {
			return err
		}
		report, err := Verify(ctx, bundle, "")
		each(report, err)
	}
	return nil
}

// isBundleFolder says whether a place is named as a bundle.
func isBundleFolder(where string) bool {
	if u, err := url.Parse(where); err == nil && u.Scheme != "" {
		return bundleFolder.MatchString(path.Base(u.Query().Get("prefix")))
	}
	abs, err := filepath.Abs(where)
	return err == nil && bundleFolder.MatchString(filepath.Base(abs))
}

// bundleWithin is where a bundle of a store is.
func bundleWithin(where, folder string) (string, error) {
	if !strings.Contains(where, "://") {
		return filepath.Join(where, folder), nil
	}
	u, err := url.Parse(where)
	if err != nil {
		return "", errors.New("not a URL; write s3://bucket?region=eu-central-1")
	}
	q := u.Query()
	q.Set("prefix", q.Get("prefix")+folder+"/")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

func bundleFolders(ctx context.Context, where string) (folders []string, err error) {
	if !strings.Contains(where, "://") {
		return dirFolders(where)
	}
	bucket, err := openURL(ctx, where)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	return bucketFolders(ctx, bucket)
}

func dirFolders(dir string) (folders []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list bundles: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && bundleFolder.MatchString(e.Name()) {
			folders = append(folders, e.Name())
		}
	}
	return folders, nil
}

func bucketFolders(ctx context.Context, bucket *blob.Bucket) (folders []string, err error) {
	it := bucket.List(&blob.ListOptions{Delimiter: "/"})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return folders, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list bundles: %w", err)
		}
		if folder := strings.TrimSuffix(o.Key, "/"); o.IsDir && bundleFolder.MatchString(folder) {
			folders = append(folders, folder)
		}
	}
}
