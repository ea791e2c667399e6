"""Headers as instruments write them, shortened; people are named where such headers name them."""

NAMES = ("Jane Q. Operator", "jqoperator", "C:\\Users\\jqoperator")

FEI = b"""[User]\r
User=jqoperator\r
UserText=Jane Q. Operator\r
[System]\r
SystemType=Quanta FEG\r
[Beam]\r
HV=30000\r
Beam=EBeam\r
Scan=EScan\r
[EBeam]\r
HV=20000\r
HFW=0.0001\r
WD=0.0101\r
[Scan]\r
PixelWidth=9e-007\r
PixelHeight=9e-007\r
[EScan]\r
PixelWidth=1.25e-006\r
PixelHeight=1.25e-006\r
[Image]\r
ResolutionX=80\r
ResolutionY=64\r
ZoomFactor=1.0\r
MagCanvasRealWidth=0.128\r
[Detectors]\r
Number=1\r
Name=ETD\r
[ETD]\r
Signal=SE\r
Operator=Jane Q. Operator\r
\0"""

FEI_XML = b"""<?xml version="1.0"?>
<Metadata xmlns:nil="http://schemas.fei.com/Metadata/v1/2013/07">
<Core><UserID>jqoperator</UserID></Core>
<Instrument><Manufacturer>FEI Company</Manufacturer><InstrumentClass>Scios 2</InstrumentClass>
<ComputerName>Jane Q. Operator</ComputerName></Instrument>
<Optics><AccelerationVoltage>5000</AccelerationVoltage><WorkingDistance>0.007</WorkingDistance>
</Optics><Detectors><ScanningDetector><DetectorName>CBS</DetectorName></ScanningDetector>
</Detectors><BinaryResult><ImageSize><X>80</X><Y>64</Y></ImageSize><PixelSize>
<X unit="m" unitPrefixPower="1">2.5E-08</X><Y unit="m" unitPrefixPower="1">2.5E-08</Y>
</PixelSize></BinaryResult></Metadata>"""

ZEISS = (
    b"0\r\n0\r\n0\r\n2.500000e-007\r\n5.000000e+002\r\n6\r\n1.000000e+004\r\n2.2\r\n"
    b"2.0e-007\r\n9.934848e-003\r\nDP_DETECTOR_CHANNEL\r\nSignal A = InLens\r\n"
    b"DP_IMAGE_STORE\r\nStore resolution = 80 * 64\r\nDP_SEM\r\nSem = Ultra 55\r\n"
    b"AP_STAGEANGLE\r\nStage Angle = 161.6 \xb0\r\nAP_WD\r\nWD =  9.9 mm\r\n"
    b"AP_MAG\r\nMag =  1.00 K X\r\nAP_WIDTH\r\nWidth = 228.7 \xb5m\r\n"
    b"AP_PIXEL_SIZE\r\nPixel Size = 999.0 nm\r\n"
    b"AP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 223.3 nm\r\n"
    b"AP_ACTUALKV\r\nEHT = 10.00 kV\r\nSV_OPERATOR\r\nOperator = Jane Q. Operator\r\n"
    b"SV_USER_NAME\r\nUser Name = jqoperator\r\n"
    b"SV_IMAGE_PATH\r\nImages = C:\\Users\\jqoperator\r\n\0\0"
)

TESCAN = (
    b"\x00\x00\x00\x0cjP  \r\n\x87\n\xff\xd9\x12\x00AccFrames=1\nDate=2025-12-03\n"
    b"Device=TESCAN AMBER X\nFullUserName=Jane Q. Operator\nImageStripSize=0\n"
    b"Magnification=160000.0\nPixelSizeX=0.0000000015625\nPixelSizeY=0.0000000015625\n"
    b"UserName=jqoperator\n\x00\x07\x02AcceleratorVoltage=15000.0\nDetector=E-T\nHV=15000.0\n"
    b"WD=0.005947501\n"
)

TESCAN_HDR = b"[MAIN]\r\n" + TESCAN[TESCAN.index(b"AccFrames") :].replace(
    b"\x00\x07\x02", b"[SEM]\n"
)

ORION = (
    "<ImageTags><ScalingX><Value>9.765625E-10</Value><Units>m</Units></ScalingX><ScalingY>"
    "<Value>9.7656606E-10</Value><Units>m</Units></ScalingY><AccelerationVoltage>"
    "<Value>29997</Value><Units>Volts</Units></AccelerationVoltage><WorkingDistance>"
    "<Value>11.977</Value><Units>mm</Units></WorkingDistance><DetectorName>"
    "<Value>ETDetector</Value><Units></Units></DetectorName><ImageWidth><Value>80</Value>"
    "</ImageWidth><ImageHeight><Value>64</Value></ImageHeight><UserName>"
    "<Value>Jane Q. Operator</Value></UserName><System.Name><Value>jqoperator</Value>"
    "</System.Name><System.Model><Value>_Orion_</Value></System.Model>"
    "<Stage.XLocation><Value>1</Value><Units>\u03bcm</Units></Stage.XLocation></ImageTags>"
).encode()

FIBICS = (
    '<?xml version="1.0" encoding="iso-8859-1"?>\n<Fibics version="1.0"><Application>'
    "<Version>NPVE</Version></Application><Image><Width>80</Width><Height>64</Height>"
    "<Machine>Jane Q. Operator</Machine><Beam>Orion</Beam><Aperture>Ne 10 \xb5m</Aperture>"
    '<Detector>ET</Detector></Image><Scan><FOV_X units="um">2.0</FOV_X>'
    '<FOV_Y units="um">1.6</FOV_Y></Scan><BeamInfo><item name="AccV">30000</item>'
    '<item name="User">jqoperator</item></BeamInfo></Fibics>\0'
).encode("latin-1")

JEOL = (
    b"$CM_FORMAT Bitmap\r\n$CM_OPERATOR Jane Q. Operator\r\n$CM_COMPANY JEOL\r\n"
    b"$CM_IMAGEID : 0017\r\n$CM_INSTRUMENT JSM-7800F\r\n$CM_ACCEL_VOLT 10.0\r\n$CM_MAG 500\r\n"
    b"$CM_SIGNAL SEI\r\n$$SM_WD 23.5\r\n$$SM_MICRON_BAR 53\r\n$$SM_MICRON_MARKER 10\xb5m\r\n"
    b"$CM_COMMENT jqoperator\r\n"
)

# Tag, type, text, and what must be read: nm, manufacturer, model, detector, kV, mm, magnification.
TAGGED = {
    "fei": (34682, 2, FEI, (1250, "FEI/Thermo", "Quanta FEG", "ETD", 20, 10.1, 1280)),
    "fei 34680": (34680, 2, FEI, (1250, "FEI/Thermo", "Quanta FEG", "ETD", 20, 10.1, 1280)),
    "fei xml": (34683, 2, FEI_XML, (25, "FEI/Thermo", "Scios 2", "CBS", 5, 7, None)),
    "zeiss": (34118, 2, ZEISS, (223.3, "Zeiss", "Ultra 55", "InLens", 10, 9.9, 1000)),
    "tescan": (50431, 1, TESCAN, (1.5625, "TESCAN", "AMBER X", "E-T", 15, 5.947501, 160000)),
    "orion": (65000, 2, ORION, (0.9765625, "Zeiss", "Orion", "ETDetector", 29.997, 11.977, None)),
    "fibics": (51023, 2, FIBICS, (25, "Zeiss", "Orion", "ET", 30, None, None)),
}
