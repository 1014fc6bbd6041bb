package evidence

// How bundles and the files in them are named. Every name that comes from
// outside passes ValidateName before it touches the bucket.

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The derived files of a bundle.
const (
	ManifestName = "manifest.json"
	ReportName   = "report.md"
	TimelineName = "timeline.ndjson"
)

// maxNameLen bounds a name within a bundle, in bytes.
const maxNameLen = 200

// Folder is the name of an incident's bundle: incident-000042.
func Folder(incidentID int64) string {
	return fmt.Sprintf("incident-%06d", incidentID)
}

// key is where a file of a bundle stands in the bucket.
func key(incidentID int64, name string) string {
	return Folder(incidentID) + "/" + name
}

// ValidateName says whether name may be a file of a bundle: a relative,
// slash-separated path of at most 200 bytes whose parts consist of letters,
// digits, dot, hyphen and underscore and begin with none of the dots.
func ValidateName(name string) error {
	if name == "" || len(name) > maxNameLen {
		return fmt.Errorf("evidence name of %d bytes: it must have 1 to %d", len(name), maxNameLen)
	}
	if path.Ext(name) == ".attrs" {
		return fmt.Errorf("evidence name %q: .attrs is kept for the file store's own use", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.ContainsFunc(part, func(r rune) bool { return !isNameRune(r) }) {
			return fmt.Errorf("evidence name %q: its parts may hold only letters, digits, dot, hyphen and underscore, and begin with no dot", name)
		}
	}
	return nil
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}

// artifactName is the name of a step's artifact with the content hash sum
// (hexadecimal), of which the first digits are used:
// runs/9/p95-3fa9c2d1.json. The hash keeps a second attempt at the same step
// from overwriting what a committed row of the first refers to.
func artifactName(runID int64, step, file, mediaType, sum string, digits int) string {
	ext := strings.ToLower(path.Ext(file))
	if _, known := mediaTypeByExt[ext]; !known {
		ext = extByMediaType(mediaType)
	}
	base := slug(strings.TrimSuffix(path.Base(file), path.Ext(file)))
	step = slug(step)
	if base == namelessSlug {
		base = step
	}
	if base != step && !strings.HasPrefix(base, step+"-") {
		base = step + "-" + base
	}
	base = strings.TrimRight(base, "-")
	return "runs/" + strconv.FormatInt(runID, 10) + "/" + base + "-" + sum[:digits] + ext
}

// shortHash is the content hash in an artifact's name, or "".
func shortHash(name string) string {
	if !strings.HasPrefix(name, "runs/") {
		return ""
	}
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	sum := base[strings.LastIndexByte(base, '-')+1:]
	if !slices.Contains(hashDigits[:], len(sum)) || strings.Trim(sum, "0123456789abcdef") != "" {
		return ""
	}
	return sum
}

// namelessSlug is the slug of a text without a single usable character.
const namelessSlug = "artifact"

// slug makes a file name's part of any text.
func slug(s string) string {
	const maxSlug = 60
	s = strings.TrimLeft(strings.Map(func(r rune) rune {
		if isNameRune(r) {
			return r
		}
		return '-'
	}, s), ".-")
	if len(s) > maxSlug {
		s = s[:maxSlug]
	}
	if s == "" {
		return namelessSlug
	}
	return s
}

// mediaTypeByExt is what a file is served as. It also lists the extensions
// that an artifact may keep.
var mediaTypeByExt = map[string]string{
	".json":   "application/json",
	".ndjson": "application/x-ndjson",
	".txt":    "text/plain; charset=utf-8",
	".log":    "text/plain; charset=utf-8",
	".md":     "text/markdown; charset=utf-8",
	".csv":    "text/csv; charset=utf-8",
	".yaml":   "text/plain; charset=utf-8",
	".html":   "text/html; charset=utf-8",
	".png":    "image/png",
	".jpg":    "image/jpeg",
	".gif":    "image/gif",
	".svg":    "image/svg+xml",
	".bin":    "application/octet-stream",
}

func mediaTypeOf(name string) string {
	if t, ok := mediaTypeByExt[path.Ext(name)]; ok {
		return t
	}
	return mediaTypeByExt[".bin"]
}

func extByMediaType(mediaType string) string {
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	switch mediaType = strings.TrimSpace(mediaType); {
	case mediaType == "application/json", strings.HasSuffix(mediaType, "+json"):
		return ".json"
	case mediaType == "application/x-ndjson":
		return ".ndjson"
	case mediaType == "text/markdown":
		return ".md"
	case mediaType == "text/csv":
		return ".csv"
	case mediaType == "text/html":
		return ".html"
	case mediaType == "image/png":
		return ".png"
	case mediaType == "image/jpeg":
		return ".jpg"
	case mediaType == "image/gif":
		return ".gif"
	case mediaType == "image/svg+xml":
		return ".svg"
	case strings.HasPrefix(mediaType, "text/"):
		return ".txt"
	default:
		return ".bin"
	}
}
