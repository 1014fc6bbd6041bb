package codexsim

import (
	"io"

	"github.com/sirupsen/logrus"
)

// quiet is a logger that says nothing.
func quiet() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}
