// What `lazaret demo` plants in its own guest.

rule EICAR_Test_File
{
  meta:
    description = "The EICAR antivirus test file"
    reference = "https://www.eicar.org"
  strings:
    $start = { 58 35 4F 21 50 25 40 41 50 5B 34 5C 50 5A 58 35 34 28 50 5E 29 37 43 43 29 37 7D 24 }
  condition:
    $start at 0 and filesize < 256
}

rule Lazaret_Demo_Implant
{
  meta:
    description = "The inert implant of the demo"
    attack = "T1070.004"
  strings:
    $marker = "lazaret::demo::implant::5f2c61"
  condition:
    (uint32(0) == 0x464C457F or uint16(0) == 0x2123) and $marker
}
