"""What flows through edgecam: frames in, results out.

Times are ``time.monotonic()`` seconds unless a name says otherwise. Pictures are RGB uint8 (H, W, 3).
Boxes are xyxy float32 (N, 4) in pixels of the frame. Results are columns and are validated when made.
"""

from edgecam.types.arrays import Array as Array
from edgecam.types.arrays import Floats as Floats
from edgecam.types.arrays import Image as Image
from edgecam.types.arrays import Ints as Ints
from edgecam.types.frame import Frame as Frame
from edgecam.types.frame import Times as Times
from edgecam.types.model import HeadOptions as HeadOptions
from edgecam.types.model import TensorInfo as TensorInfo
from edgecam.types.packet import Packet as Packet
from edgecam.types.packet import QueueState as QueueState
from edgecam.types.packet import SinkState as SinkState
from edgecam.types.packet import State as State
from edgecam.types.packet import Status as Status
from edgecam.types.results import Classification as Classification
from edgecam.types.results import Detections as Detections
from edgecam.types.results import Geometry as Geometry
from edgecam.types.results import Result as Result
