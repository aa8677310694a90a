// What `lazaret demo` plants in its own guest, but for EICAR, which the starter pack finds.

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
