"""pydl.save and pydl.load: what comes back, what other readers see, what happens to files that are none."""
from __future__ import annotations

import io
import json
import os
import stat
from collections import OrderedDict

import numpy as np
import pytest
from twins import numpy

import pydl
from pydl import nn

DTYPES = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


def round_trip(obj):
    file = io.BytesIO()
    pydl.save(obj, file)
    file.seek(0)
    return pydl.load(file)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(3, 4, bias=False)
        self.head = nn.Linear(3, 4)
        self.head.weight = self.embed.weight
        self.register_buffer("steps", pydl.tensor(7))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0, 4)])
def test_tensors(dtype, shape):
    tensor = (pydl.arange(int(np.prod(shape))).reshape(shape) - 1).to(getattr(pydl, dtype))
    back = round_trip({"x": tensor})["x"]
    assert back.dtype == tensor.dtype and tuple(back.shape) == shape
    assert back.tolist() == tensor.tolist()


def test_strides_do_not_matter():
    tensor = pydl.arange(24.0).reshape(2, 3, 4)
    for view in (tensor.permute(2, 0, 1), tensor[:, 1:, ::2], tensor[0, 0].expand(3, 4)):
        back = round_trip([view])[0]
        assert back.is_contiguous() and back.tolist() == view.tolist()


def test_structure():
    checkpoint = {
        "epoch": 3, "lr": 0.1, "nothing": None, "done": True, "name": "net", "limits": (float("inf"), -float("inf")),
        "nested": [OrderedDict(z=1, a=pydl.ones(1)), (1, [2, ("x",)]), {}, [], ()], "like": ["tensor", "x"],
        7: {"a.b": pydl.zeros(1), "a": {"b": pydl.ones(1)}}, 0.5: 1, "": {"": pydl.full((1,), 5.0)},
    }
    back = round_trip(checkpoint)
    assert back["nested"][0]["a"].tolist() == [1] and isinstance(back["nested"][0], OrderedDict)
    assert list(back) == list(checkpoint) and list(back["nested"][0]) == ["z", "a"]
    assert back[7]["a.b"].item() == 0 and back[7]["a"]["b"].item() == 1 and back[""][""].item() == 5
    for tensors in (back["nested"][0].pop("a"), checkpoint["nested"][0].pop("a")):
        assert tensors.item() == 1
    del back[7], checkpoint[7], back[""], checkpoint[""]
    assert back == checkpoint
    assert np.isnan(round_trip(float("nan"))) and round_trip(pydl.ones(2)).tolist() == [1, 1]


def test_ties_are_kept(tmp_path):
    model = Tied()
    pydl.save(model.state_dict(), tmp_path / "model.safetensors")
    back = pydl.load(tmp_path / "model.safetensors")
    assert back["embed.weight"] is back["head.weight"] and list(back) == list(model.state_dict())
    other = Tied()
    other.load_state_dict(back)
    assert other.head.weight is other.embed.weight
    assert (numpy(other.head.weight) == numpy(model.head.weight)).all()
    overlapping = pydl.arange(4.0)
    back = round_trip({"a": overlapping[:2], "b": overlapping[1:]})
    back["a"] += 10
    assert back["b"].tolist() == [1, 2, 3]


def test_optimizer_state(tmp_path):
    model = nn.Linear(3, 2)
    optimizer = pydl.optim.Adam([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.5}], lr=0.1)
    model(pydl.ones(4, 3)).sum().backward()
    optimizer.step()
    pydl.save({"optimizer": optimizer.state_dict(), "epoch": 1}, tmp_path / "checkpoint")
    back = pydl.load(tmp_path / "checkpoint")["optimizer"]
    assert back["param_groups"] == optimizer.state_dict()["param_groups"]
    other = pydl.optim.Adam([{"params": [model.weight]}, {"params": [model.bias]}])
    other.load_state_dict(back)
    assert other.param_groups[1]["lr"] == 0.5 and other.param_groups[0]["betas"] == (0.9, 0.999)
    assert other.state[model.weight]["step"].item() == 1
    assert other.state[model.bias]["exp_avg"].tolist() == optimizer.state[model.bias]["exp_avg"].tolist()


def test_other_readers_and_writers(tmp_path):
    reader = pytest.importorskip("safetensors.numpy")
    model = nn.Linear(3, 2)
    path = tmp_path / "model.safetensors"
    pydl.save(model.state_dict(), path)
    arrays = reader.load_file(path)
    assert set(arrays) == {"weight", "bias"} and (arrays["weight"] == numpy(model.weight)).all()
    reader.save_file({"b": np.arange(3), "a": np.eye(2, dtype=np.float16)}, path)
    back = pydl.load(path)
    assert back["a"].dtype == pydl.float16 and back["b"].tolist() == [0, 1, 2]


def test_row_sparse_tensors(tmp_path):
    rows = pydl.sparse_coo_tensor([[2, 0, 2]], [[1.0, 2], [3, 4], [5, 6]], (4, 2))
    none = pydl.sparse_coo_tensor(pydl.zeros(1, 0, dtype=pydl.int64), pydl.zeros(0, 3).half(), (5, 3))
    saved = {"a": rows, "b": [rows.coalesce(), none, rows], "a.values": pydl.zeros(1), "whole": rows.to_dense()}
    back = round_trip(saved)
    assert list(back) == list(saved) and back["a"] is back["b"][2] and back["a.values"].tolist() == [0]
    for x, y in ((rows, back["a"]), (rows.coalesce(), back["b"][0]), (none, back["b"][1])):
        assert y.is_sparse and y.is_coalesced() == x.is_coalesced() and y.dtype == x.dtype and y.shape == x.shape
        assert y._indices().tolist() == x._indices().tolist() and y._values().tolist() == x._values().tolist()
    assert pydl.equal(round_trip(rows).to_dense(), rows.to_dense())
    pydl.save({"grad": rows}, tmp_path / "rows")
    arrays = pytest.importorskip("safetensors.numpy").load_file(tmp_path / "rows")
    assert arrays["grad.indices"].tolist() == [[2, 0, 2]] and arrays["grad.values"].shape == (3, 2)


def test_optimizer_state_of_a_sparse_embedding():
    """Momentum of row-sparse gradients is row-sparse."""
    def steps(layer, optimizer, batches):
        for batch in batches:
            optimizer.zero_grad()
            (layer(pydl.tensor(batch)) ** 2).sum().backward()
            optimizer.step()

    layer, other = (nn.Embedding(6, 2, sparse=True) for _ in range(2))
    optimizer, resumed = (pydl.optim.SGD(x.parameters(), lr=0.1, momentum=0.9) for x in (layer, other))
    steps(layer, optimizer, [[1, 4], [1, 1, 2]])
    checkpoint = round_trip({"layer": layer.state_dict(), "optimizer": optimizer.state_dict()})
    other.load_state_dict(checkpoint["layer"])
    resumed.load_state_dict(checkpoint["optimizer"])
    assert resumed.state[other.weight]["momentum_buffer"].is_sparse
    for x, y in ((layer, optimizer), (other, resumed)):
        steps(x, y, [[0, 4], [2, 5]])
    assert pydl.equal(layer.weight, other.weight)


def test_names_that_are_taken():
    taken = {"a": {"b": pydl.zeros(1)}, "a.b#2": pydl.ones(1), "a.b": pydl.full((1,), 2.0)}
    back = round_trip(taken)
    assert [back["a"]["b"].item(), back["a.b#2"].item(), back["a.b"].item()] == [0, 1, 2]


def test_what_is_not_saved():
    for wrong, place in (({"a": {1, 2}}, "'a'"), ([{"b": object()}], "'0.b'"), ({(1, 2): 3}, "the top")):
        with pytest.raises(TypeError, match=f"save: expected .* at .*{place}"):
            pydl.save(wrong, io.BytesIO())
    with pytest.raises(TypeError, match="got Linear .*save its state_dict"):
        pydl.save(nn.Linear(1, 1), io.BytesIO())


def test_files_in_other_formats(tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    good = io.BytesIO()
    pydl.save({"x": pydl.ones(100)}, good)
    torch_file = b"PK\x03\x04" + bytes(100)
    for data, what in ((b"", "an empty file"), (pickle.dumps(Trap(), 2), "pickle"), (torch_file, "torch.save"),
                       (b"x" * 50, "something else"), (good.getvalue()[:60], ""), (good.getvalue()[:-5], "")):
        path = tmp_path / "file"
        path.write_bytes(data)
        with pytest.raises(RuntimeError, match=f"load: expected a safetensors file, got .*{what}.* in .*file"):
            pydl.load(path)
    assert not (tmp_path / "trapped").exists()
    with pytest.raises(NotImplementedError, match="weights_only"):
        pydl.load(path, weights_only=False)
    with pytest.raises(FileNotFoundError):
        pydl.load(tmp_path / "absent")


def test_damaged_structure():
    file = io.BytesIO()
    pydl.save({"weight": pydl.ones(1)}, file)
    data = bytearray(file.getvalue())
    at = data.index(b'[\\"tensor\\", \\"weight\\"]')
    data[at + 16 : at + 17] = b"v"  # a name that is not in the file
    with pytest.raises(RuntimeError, match="load: expected a structure"):
        pydl.load(io.BytesIO(bytes(data)))
    file = io.BytesIO()
    pydl.save(pydl.sparse_coo_tensor([[1]], [[5.0]], (4, 1)), file)
    for old, new in ((b"[4, 1]", b"[1, 1]"), (b"[4, 1]", b"[4, 2]"), (b"tensor.values", b"tensor.valuez")):
        data = file.getvalue()
        at = data.index(b"structure")
        data = data[:at] + data[at:].replace(old, new, 1)
        with pytest.raises(RuntimeError, match="load: expected a structure"):
            pydl.load(io.BytesIO(data))


def test_files_of_a_later_format():
    file = io.BytesIO()
    pydl.save({"x": pydl.ones(1)}, file)
    data = file.getvalue().replace(b'\\"version\\": 1', b'\\"version\\": 9')
    with pytest.raises(RuntimeError, match="load: expected format 2 or older, got 9"):
        pydl.load(io.BytesIO(data))


def test_replacement_is_whole(tmp_path):
    path = tmp_path / "weights"
    pydl.save({"x": pydl.ones(3)}, path)
    os.chmod(path, 0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    with open(path, "rb") as reader:
        pydl.save({"x": pydl.zeros(3)}, link)
        assert pydl.load(reader)["x"].tolist() == [1, 1, 1]  # the file that was opened is not written into
    assert link.is_symlink() and pydl.load(path)["x"].tolist() == [0, 0, 0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(TypeError):
        pydl.save({"x": object()}, path)
    with pytest.raises(OSError):
        pydl.save({"x": pydl.zeros(1)}, tmp_path / "no" / "such" / "place")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        pydl.save({"x": pydl.zeros(1)}, tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "weights"]
    assert pydl.load(path)["x"].tolist() == [0, 0, 0]


def test_metadata_is_json(tmp_path):
    path = tmp_path / "weights"
    pydl.save({"x": pydl.ones(1)}, path)
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(header["__metadata__"]["pydl"]) == {"version": 1, "structure": ["dict", ["x", ["tensor", "x"]]]}
