package evidence

// The bundle store: writing artifacts durably and reading them back.

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"
)

// MaxArtifact bounds one artifact, in bytes.
const MaxArtifact = 8 << 20

// hashDigits are how many digits of the content hash a name may show; more are
// used only when a name is taken by other content.
var hashDigits = [...]int{8, 16, 64}

// ErrNotFound is what Store.Open reports of a file that is not in the bundle. It
// is an fs.ErrNotExist, by which a notifier knows that trying again is no use.
var ErrNotFound = fmt.Errorf("not in the bundle: %w", fs.ErrNotExist)

// Options say where bundles are kept. Exactly one of Dir and BucketURL is set.
type Options struct {
	Dir        string                // folder for bundles; made when it is missing
	BucketURL  string                // gocloud.dev/blob URL: s3://bucket?region=…; needs a build with -tags s3
	Redactor   *Redactor             // nil makes one
	Log        logrus.FieldLogger    // nil discards
	Registerer prometheus.Registerer // nil keeps no metrics
	Now        func() time.Time      // nil is time.Now
}

// Artifact is what a step wants kept.
type Artifact struct {
	Name      string // file name, without folder: p95.json
	MediaType string
	Source    string // where it came from
	Data      []byte // at most MaxArtifact
}

// Store keeps the bundles. It is safe for use by several goroutines, and by
// several processes on one bucket.
type Store struct {
	bucket   *blob.Bucket
	dir      string // "" for a bucket by URL
	redactor *Redactor
	log      logrus.FieldLogger
	now      func() time.Time
	sync     func(path string) error

	staged     *prometheus.CounterVec
	bytes      prometheus.Counter
	redactions prometheus.Counter
}

// Open opens the bundle store.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{redactor: o.Redactor, log: o.Log, now: o.Now, sync: syncPath}
	if s.redactor == nil {
		s.redactor = NewRedactor()
	}
	if s.log == nil {
		l := logrus.New()
		l.SetOutput(io.Discard)
		s.log = l
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.register(o.Registerer); err != nil {
		return nil, fmt.Errorf("evidence metrics: %w", err)
	}
	var err error
	switch {
	case (o.Dir == "") == (o.BucketURL == ""):
		return nil, errors.New("evidence store: set either a folder or a bucket URL")
	case o.Dir != "":
		if s.dir, err = filepath.Abs(o.Dir); err != nil {
			return nil, fmt.Errorf("evidence folder %s: %w", o.Dir, err)
		}
		s.bucket, err = openDir(s.dir, true)
		if err == nil {
			if err := narrow(s.dir, sharedDirMode); err != nil { // another user's, as on a volume that is mounted so
				s.log.WithError(err).Warn("others than triagebot may read the evidence folder; take their permissions from it")
			}
		}
	default:
		s.bucket, err = openURL(ctx, o.BucketURL)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openDir(dir string, create bool) (*blob.Bucket, error) {
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir:   create,
		DirFileMode: dirMode,
		NoTempDir:   true, // a rename from another file system fails
		Metadata:    fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("evidence folder %s: %w", dir, err)
	}
	return bucket, nil
}

// CheckBucketURL says whether this program can open such a bucket, without
// reaching for it; "" stands for none and is fine.
func CheckBucketURL(bucketURL string) error {
	if bucketURL == "" {
		return nil
	}
	u, err := url.Parse(bucketURL)
	switch {
	case err != nil || u.Scheme == "":
		return errors.New("evidence bucket URL: not a URL; write s3://bucket?region=eu-central-1")
	case !blob.DefaultURLMux().ValidBucketScheme(u.Scheme):
		return fmt.Errorf("evidence bucket %s://%s: this build of triagebot knows no %s buckets (S3 needs a build with -tags s3)", u.Scheme, u.Host, u.Scheme)
	case u.Scheme == fileblob.Scheme:
		return fmt.Errorf("evidence bucket %s://%s: give the folder as a folder, only then is it synced to disk", u.Scheme, u.Host)
	}
	return nil
}

func openURL(ctx context.Context, bucketURL string) (*blob.Bucket, error) {
	if err := CheckBucketURL(bucketURL); err != nil {
		return nil, err
	}
	bucket, err := blob.OpenBucket(ctx, bucketURL)
	if err != nil {
		scheme, rest, _ := strings.Cut(bucketURL, "://")
		host, _, _ := strings.Cut(rest, "?") // what follows may be a secret
		return nil, fmt.Errorf("evidence bucket %s://%s: %w", scheme, host, err)
	}
	return bucket, nil
}

func (s *Store) register(r prometheus.Registerer) error {
	s.staged = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "triagebot_evidence_staged_total",
		Help: "Artifacts handed to the evidence store, by result.",
	}, []string{"result"})
	s.bytes = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "triagebot_evidence_bytes_total",
		Help: "Bytes of artifacts stored.",
	})
	s.redactions = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "triagebot_evidence_redactions_total",
		Help: "Secrets masked before artifacts were stored.",
	})
	s.staged.WithLabelValues("ok")
	s.staged.WithLabelValues("error")
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{s.staged, s.bytes, s.redactions} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the bucket.
func (s *Store) Close() error { return s.bucket.Close() }

// Ping says whether the bucket can be reached.
func (s *Store) Ping(ctx context.Context) error {
	ok, err := s.bucket.IsAccessible(ctx)
	if err != nil {
		return fmt.Errorf("reach the evidence store: %w", err)
	}
	if !ok {
		return errors.New("reach the evidence store: it does not exist any more")
	}
	return nil
}

// Stage redacts an artifact and writes it durably to the incident's bundle.
// Nothing refers to it until the caller commits the row that Chain makes; a
// crash in between leaves a file that Verify lists as not in the manifest.
// Staging the same again gives the same name and rewrites nothing.
func (s *Store) Stage(ctx context.Context, incidentID, runID int64, step string, a Artifact) (Staged, error) {
	staged, err := s.stage(ctx, incidentID, runID, step, a)
	if err != nil {
		s.staged.WithLabelValues("error").Inc()
		return Staged{}, fmt.Errorf("store evidence %s of step %s: %w", slug(a.Name), slug(step), err)
	}
	s.staged.WithLabelValues("ok").Inc()
	s.bytes.Add(float64(staged.Size))
	s.redactions.Add(float64(staged.Redactions))
	return staged, nil
}

func (s *Store) stage(ctx context.Context, incidentID, runID int64, step string, a Artifact) (Staged, error) {
	if incidentID <= 0 || runID <= 0 {
		return Staged{}, fmt.Errorf("incident %d, run %d: both must be stored first", incidentID, runID)
	}
	if len(a.Data) > MaxArtifact {
		return Staged{}, fmt.Errorf("%d bytes are more than the %d an artifact may have; cut it where it is captured", len(a.Data), MaxArtifact)
	}
	data, _ := s.redactor.Redact(a.Data, a.MediaType)
	masked := 0
	if !isPicture(a.MediaType) {
		masked = countMasks(data) // some secrets are masked before they come here
	}
	source, maskedInSource := s.redactor.RedactString(a.Source)
	sum := sha256Hex(data)
	staged := Staged{
		IncidentID: incidentID,
		MediaType:  a.MediaType,
		Size:       int64(len(data)),
		SHA256:     sum,
		Source:     source,
		CreatedAt:  normalTime(s.now()),
		Redactions: masked + maskedInSource,
	}
	for _, digits := range hashDigits {
		staged.Name = artifactName(runID, step, a.Name, a.MediaType, sum, digits)
		taken, same, err := s.compare(ctx, key(incidentID, staged.Name), sum)
		switch {
		case err != nil:
			return Staged{}, err
		case taken && !same:
			continue // by a file of another content: say more of the hash
		case taken:
			// An earlier attempt may have died before its sync.
			return staged, s.makeDurable(key(incidentID, staged.Name))
		default:
			return staged, s.write(ctx, key(incidentID, staged.Name), a.MediaType, data)
		}
	}
	return Staged{}, fmt.Errorf("%s is taken by a file of other content, which no crash can cause; look at it", staged.Name)
}

// compare says whether a file stands at key, and whether its hash is sum.
func (s *Store) compare(ctx context.Context, key, sum string) (taken, same bool, err error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if isNotFound(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("look for an earlier attempt's file: %w", err)
	}
	_, got, err := hashReader(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return false, false, fmt.Errorf("read an earlier attempt's file: %w", err)
	}
	return true, got == sum, nil
}

// write puts a whole file in place, durably: it is there whole or not at all.
func (s *Store) write(ctx context.Context, key, mediaType string, data []byte) error {
	if mediaType == "" {
		mediaType = mediaTypeOf(key)
	}
	if err := s.bucket.WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: mediaType}); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return s.makeDurable(key)
}

func (s *Store) makeDurable(key string) error {
	if s.dir == "" {
		return nil // an object store answers when it has stored
	}
	// Where this fails, as on a file system without permissions, the folder's
	// guard it, of which Open warns.
	_ = narrow(filepath.Join(s.dir, filepath.FromSlash(key)), fileMode)
	return syncUp(s.dir, key, s.sync)
}

// Open reads a file of an incident's bundle. The error is ErrNotFound for a
// file that is not there or whose name is none.
func (s *Store) Open(ctx context.Context, incidentID int64, name string) (body io.ReadCloser, size int64, err error) {
	if err := ValidateName(name); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", err, ErrNotFound)
	}
	r, err := s.bucket.NewReader(ctx, key(incidentID, name), nil)
	if isNotFound(err) {
		return nil, 0, fmt.Errorf("evidence %s of incident %d: %w", name, incidentID, ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open evidence %s of incident %d: %w", name, incidentID, err)
	}
	return r, r.Size(), nil
}

func isNotFound(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// hashReader reads r to its end and returns its length and hexadecimal SHA-256.
func hashReader(r io.Reader) (size int64, sum string, err error) {
	h := sha256.New()
	size, err = io.Copy(h, r)
	return size, hex.EncodeToString(h.Sum(nil)), err
}
