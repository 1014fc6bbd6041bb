//go:build s3

package evidence

// S3-compatible buckets, for several replicas that share one bundle store. The
// AWS SDK costs 9.4 MB of binary and 3.4 MB of resident memory even where it
// is not used, so it is linked only when asked for: go build -tags s3.

import _ "gocloud.dev/blob/s3blob" // registers the s3 scheme with package blob
