// Libraries that are loaded into every process to hide files, processes and connections.

rule Preload_From_Temporary_Directory
{
  meta:
    description = "A list of libraries for all processes that names one in a directory that anyone can write"
    attack = "T1574.006"
  strings:
    $library = /[\s:\/](tmp|var\/tmp|dev\/shm)\/[^\s]{1,200}\.so[0-9.]{0,16}\s{0,8}$/
  condition:
    filesize < 4KB and uint8(0) == 0x2F and $library
}

rule Preload_Library_That_Hides
{
  meta:
    description = "A library that stands before the listing of directories and knows the list of preloaded libraries"
    attack = "T1574.006, T1014"
  strings:
    $list = "/etc/ld.so.preload"
    $next = "dlsym"
    $listing = "readdir64"
    $opening = /\x00(fopen64|open64|__lxstat64|lstat64|__xstat64)\x00/
  condition:
    uint32(0) == 0x464C457F and uint16(16) == 3 and filesize < 2MB and all of them
}
