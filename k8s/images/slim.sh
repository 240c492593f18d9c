#!/bin/sh
# slim.sh FOLDER: takes out of an environment what no part of a run opens.  The Containerfiles call it.
# Tests of libraries (h5py imports its own), headers for those who compile against TensorFlow, and the names of symbols
# that only a debugger reads, which are a quarter of VTK and of TensorFlow.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
find "$packages" -type d -name tests ! -path '*/h5py/*' -prune -exec rm -rf {} +
rm -rf "$packages/tensorflow/include"
for library in vtkmodules tensorflow; do
  [ ! -d "$packages/$library" ] || find "$packages/$library" -type f -name '*.so*' -exec strip --strip-unneeded {} +
done
