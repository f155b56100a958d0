// Writes a projected volume of ConfigMaps as the kubelet does, with the kubelet's own code: what makes files of the objects, and
// what swaps them.
//
// Reads {"defaultMode": 420, "sources": [{"name": "a", "optional": false, "configMap": {…} or null}]} from standard input and
// writes into the directory that is the first argument.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"

	core "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/volume/configmap"
	volume "k8s.io/kubernetes/pkg/volume/util"
)

type projected struct {
	DefaultMode int32
	Sources     []source
}

type source struct {
	Name      string
	Optional  bool
	ConfigMap *core.ConfigMap
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: kubelet-mount DIRECTORY < VOLUME")
	}
	var volumeSources projected
	if err := json.NewDecoder(os.Stdin).Decode(&volumeSources); err != nil {
		return err
	}
	payload, err := volumeSources.payload()
	if err != nil {
		return err
	}
	writer, err := volume.NewAtomicWriter(os.Args[1], "kubelet-mount")
	if err != nil {
		return err
	}
	return writer.Write(payload, nil)
}

// A ConfigMap that isn't there fails the whole volume, which stays as it is, unless it's optional. Of equal names the last wins.
func (volumeSources projected) payload() (map[string]volume.FileProjection, error) {
	payload := map[string]volume.FileProjection{}
	for _, each := range volumeSources.Sources {
		if each.ConfigMap == nil {
			if !each.Optional {
				return nil, fmt.Errorf("configmap %q not found", each.Name)
			}
			each.ConfigMap = &core.ConfigMap{}
		}
		files, err := configmap.MakePayload(nil, each.ConfigMap, &volumeSources.DefaultMode, each.Optional)
		if err != nil {
			return nil, err
		}
		maps.Copy(payload, files)
	}
	return payload, nil
}
