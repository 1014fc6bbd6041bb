// What the template functions do. Most are Alertmanager's, whose source has no
// comments to take.

package main

// functions are described for people, with an example; each by its name.
var functions = map[string]string{
	"append":           "`append .list .item …`: a longer list",
	"asRegex":          "in a `=~` or `!~` matcher only: the value is a regular expression, and not text that matches itself",
	"base64decode":     "from base64 in its URL-safe alphabet",
	"base64encode":     "to base64 in its URL-safe alphabet",
	"bytes":            "`{{ .Value | bytes }}`: 1536 is 1.5KiB",
	"date":             "`{{ .At | date \"15:04\" }}`: a time in Go's notation",
	"default":          "`{{ .Labels.route | default \"/\" }}`: what stands in for a value that is missing or empty",
	"dict":             "`dict \"key\" .value …`: a mapping",
	"fixed":            "`{{ .Value | fixed 1 }}`: with so many digits after the point",
	"humanize":         "1234567 is 1.235M",
	"humanizeDuration": "seconds as a duration: 90 is 1m 30s",
	"join":             "`join \", \" .list`: one text of a list of texts",
	"list":             "`list .a .b`: a list",
	"match":            "`match \"^5\" .Labels.code`: whether a regular expression matches",
	"ms":               "milliseconds: 431 is 431ms, 1500 is 1.5s",
	"mustToDate":       "as `toDate`, but an error where the text is no time",
	"percent":          "a ratio: 0.05 is 5%",
	"reReplaceAll":     "`reReplaceAll \"-[0-9]+$\" \"\" .Labels.pod`: replaces what a regular expression matches",
	"safeHtml":         "nothing: what is posted is no HTML. Here so that Alertmanager's templates load",
	"safeUrl":          "nothing, likewise",
	"seconds":          "seconds: 0.25 is 250ms, 90 is 1m 30s",
	"stringSlice":      "`stringSlice \"a\" \"b\"`: a list of texts",
	"title":            "each word with a capital",
	"toDate":           "`toDate \"2006-01-02\" .Labels.day`: a time from a text",
	"toJson":           "as JSON",
	"toLower":          "in small letters",
	"toUpper":          "in capitals",
	"trimSpace":        "without spaces around it",
	"tz":               "`{{ .At | tz \"Europe/Berlin\" | date \"15:04\" }}`: a time in a zone",
	"urlUnescape":      "undoes the escaping of a query",
}
