// The file with which one tries whether an antivirus works.

rule EICAR_Test_File
{
  meta:
    description = "The EICAR antivirus test file, which is harmless"
    reference = "https://www.eicar.org"
  strings:
    $start = { 58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34 28 50 5E 29 37 43 43 29 37 7D 24 }
  condition:
    $start at 0 and filesize <= 128
}
