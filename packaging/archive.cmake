# Writes the tar.gz. Adds the licenses of all parts of the static binary, from the Debian packages that contain these
# parts. Owners, modes, times and the order of files do not depend on who builds it, and where.
set(name ${CPACK_PACKAGE_FILE_NAME})
set(doc ${CPACK_TEMPORARY_DIRECTORY}/share/doc/memolock)
file(COPY ${CPACK_MEMOLOCK_DOCUMENTS} ${CPACK_MEMOLOCK_SOURCE}/LICENSE DESTINATION ${doc})
foreach(part IN LISTS CPACK_MEMOLOCK_PARTS)
  file(REAL_PATH ${part} part)
  execute_process(COMMAND dpkg -S ${part} OUTPUT_VARIABLE package COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "[:,].*" "" package "${package}")
  file(REAL_PATH /usr/share/doc/${package}/copyright copyright)
  file(MAKE_DIRECTORY ${doc}/licenses)
  file(COPY_FILE ${copyright} ${doc}/licenses/${package})
endforeach()

set(archive ${CPACK_TOPLEVEL_DIRECTORY}/${name}.tar)
execute_process(COMMAND tar --create --file ${archive} --format=gnu --sort=name --owner=0 --group=0 --numeric-owner
  --mode=u=rwX,go=rX --mtime=@$ENV{SOURCE_DATE_EPOCH} --transform=s,^[.],${name}, --directory ${CPACK_TEMPORARY_DIRECTORY} .
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND gzip -9n ${archive} COMMAND_ERROR_IS_FATAL ANY)
set(CPACK_EXTERNAL_BUILT_PACKAGES ${archive}.gz)
