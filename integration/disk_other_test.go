//go:build !linux

package integration

import "errors"

func mountSmall(string, int) error { return errors.New("small file systems are made on Linux only") }

func unmountSmall(string) error { return nil }
