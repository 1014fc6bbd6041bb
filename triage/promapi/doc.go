// Package promapi asks one Prometheus questions. It bounds how many run at
// once, how long each may take and how large its answer may be, shares an
// identical query in flight between all who ask it, and says of each failure
// whether another try may help, in words without credentials.
package promapi
