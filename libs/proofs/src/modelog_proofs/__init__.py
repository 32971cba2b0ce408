"""Merkle trees, signed checkpoints and offline verification of a Modelog event log."""

from .checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from .errors import InvalidEvent, InvalidKey, InvalidNote, InvalidProof, ProofsError, UnreadableStore
from .export import ExportFile, export_line, is_gzip, read_export_line
from .keys import PrivateKey, PublicKey, generate_key, parse_private_key, parse_public_key
from .leaf import EventRecord, event_hash, leaf_bytes, leaf_index, recorded_at_text
from .merkle import (
    EMPTY_ROOT,
    Frontier,
    HashStore,
    MemoryHashStore,
    MerkleTree,
    Node,
    hash_children,
    hash_leaf,
    verify_consistency,
    verify_inclusion,
)
from .note import Note, Signature, open_note, parse_note, sign_note
from .prediction import PREDICTION_TAG, TEXTS_TAG, PredictionRecord, leaf_field, prediction_hash
from .prediction_group import GROUP_ROWS, GROUP_TAG, InGroup, group_hash, leaf_among, row_hash
from .prediction_proof import make_prediction_proof, verify_prediction
from .proof import ProvenEvent, make_bundle, verify_bundle
from .proven_prediction import ProvenPrediction
from .store import EventStoreFile
from .verify import Audit, Report, open_events, verify_store

__all__ = [
    "EMPTY_ROOT",
    "GROUP_ROWS",
    "GROUP_TAG",
    "PREDICTION_TAG",
    "TEXTS_TAG",
    "Audit",
    "Checkpoint",
    "EventRecord",
    "EventStoreFile",
    "ExportFile",
    "Frontier",
    "HashStore",
    "InGroup",
    "InvalidEvent",
    "InvalidKey",
    "InvalidNote",
    "InvalidProof",
    "MemoryHashStore",
    "MerkleTree",
    "Node",
    "Note",
    "PredictionRecord",
    "PrivateKey",
    "ProofsError",
    "ProvenEvent",
    "ProvenPrediction",
    "PublicKey",
    "Report",
    "Signature",
    "UnreadableStore",
    "event_hash",
    "export_line",
    "generate_key",
    "group_hash",
    "hash_children",
    "hash_leaf",
    "is_gzip",
    "leaf_among",
    "leaf_bytes",
    "leaf_field",
    "leaf_index",
    "make_bundle",
    "make_prediction_proof",
    "open_checkpoint",
    "open_events",
    "open_note",
    "parse_checkpoint",
    "parse_note",
    "parse_private_key",
    "parse_public_key",
    "prediction_hash",
    "read_export_line",
    "recorded_at_text",
    "row_hash",
    "sign_checkpoint",
    "sign_note",
    "verify_bundle",
    "verify_consistency",
    "verify_inclusion",
    "verify_prediction",
    "verify_store",
]
